package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"paas/access"
	"paas/command"
)

// execute runs words as a command line of the table, and returns what it prints.
func execute(t *testing.T, use string, words ...string) string {
	t.Helper()
	var out bytes.Buffer
	begin := func(*command.Call) (func(), error) { return func() {}, nil }
	root := New(use, "", access.Admin, words, Table{Rows: command.Rows(), Begin: begin})
	root.SetOut(&out)
	root.SetErr(&out)
	Execute(t.Context(), root, &out)
	return out.String()
}

// A person who came by SSH reads how to call the command from there.
func TestUsageNamesTheWholeCommand(t *testing.T) {
	const use = "ssh -p 2222 paas@my.server"
	want := " !     usage: " + use + " config:get APP KEY\n"
	if is := execute(t, use, "config:get"); is != want {
		t.Errorf("%q, want %q", is, want)
	}
}

func TestWrongValueNamesItsFlag(t *testing.T) {
	const want = ` !     --every: "soon" is not a time such as 10s or 2h30m`
	if is := execute(t, "paas", "source:set", "blog", "https://host.test/a", "--every", "soon"); !strings.HasPrefix(is, want) {
		t.Errorf("%q, want %q", is, want)
	}
}

// The list of all commands leaves out the flags of those that have many.
func TestListIsNarrow(t *testing.T) {
	list := execute(t, "paas")
	for _, want := range []string{"  logs APP [FLAGS] ", "  source:set APP URL [FLAGS] ", "  run [--detach] APP -- COMMAND... "} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	for line := range strings.Lines(list) {
		if use, _, _ := strings.Cut(strings.TrimSpace(line), "  "); strings.HasPrefix(line, "  ") && len(use) > 45 {
			t.Errorf("the list shows %q", use)
		}
	}
}

// The name of a file may look like a pair, where no pair is expected.
func TestFileMayBeNamedLikeAPair(t *testing.T) {
	row, _ := command.Find(command.Rows(), "keys:add")
	if err := command.SetArguments(row.Input(), []string{"bob", "/tmp/a=b.pub"}); err != nil {
		t.Errorf("%v", err)
	}
}

// A misspelt command is suggested, whatever flags follow it.
func TestSuggestionWithFlags(t *testing.T) {
	const want = " !     no command \"apps:lst\"; did you mean apps:list?\n"
	if is := execute(t, "paas", "apps:lst", "--format", "json"); is != want {
		t.Errorf("%q, want %q", is, want)
	}
}

func TestPairBeforeApp(t *testing.T) {
	for words, want := range map[string]string{
		"config:set A=secret blog":      "the app comes first, then KEY=VALUE",
		"ps:scale web=2 blog":           "the app comes first, then TYPE=N",
		"limits:set memory=256M blog":   "the app comes first, then TYPE LIMIT=VALUE",
		"settings:set branch=next blog": "the app comes first, then KEY=VALUE",
	} {
		is := execute(t, "paas", strings.Fields(words)...)
		if !strings.Contains(is, want) {
			t.Errorf("%s: %q, want %q", words, is, want)
		}
		if strings.Contains(is, "secret") {
			t.Errorf("%s: it repeats the secret: %q", words, is)
		}
	}
}

func TestHelpOfAlias(t *testing.T) {
	help := execute(t, "paas", "help", "config:show")
	for _, want := range []string{"\nexample: paas config blog\n", "\nalso called: config:show\n"} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
}

func TestCompletion(t *testing.T) {
	for words, want := range map[string]string{
		"ps ":                  "blog follower returned tired :4",
		"ps:scale blog ":       "web= worker= :6",
		"ps:scale -a blog ":    "web= worker= :6",
		"ps:restart blog ":     "web worker :4",
		"limits:set blog ":     "web worker :4",
		"rollback blog ":       "v2 v1 :4",
		"rollback ":            "blog follower returned tired :4",
		"logs blog --process ": "web web.1 worker :4",
		"logs --app ":          "blog follower returned tired :4",
		"url blog ":            ":4",
		"storage:remove blog ": "media :4",
	} {
		name, rest, _ := strings.Cut(words, " ")
		is := complete(t, newStage(t), admin, append([]string{name}, strings.Split(rest, " ")...)...)
		if is != want {
			t.Errorf("%q: %q, want %q", words, is, want)
		}
	}
}

// Completion offers nothing of apps that the caller may not see.
func TestCompletionForGuests(t *testing.T) {
	for words, want := range map[string]string{
		"ps ":             "blog :4",
		"logs --app ":     "blog :4",
		"rollback blog ":  "v2 v1 :4",
		"rollback tired ": ":4",
		"ps:scale tired ": ":4",
	} {
		name, rest, _ := strings.Cut(words, " ")
		is := complete(t, newStage(t), guest, append([]string{name}, strings.Split(rest, " ")...)...)
		if is != want {
			t.Errorf("%q: %q, want %q", words, is, want)
		}
	}
}

// complete returns what a shell is offered for the last of the words.
func complete(t *testing.T, s *stage, who command.Caller, words ...string) string {
	t.Helper()
	words = append([]string{"__complete"}, words...)
	var out bytes.Buffer
	begin := func(c *command.Call) (func(), error) {
		c.Server, c.Caller = s.server, who
		return func() {}, nil
	}
	root := New("paas", "", access.Admin, words, Table{Rows: command.Rows(), Begin: begin})
	root.SetOut(&out)
	root.SetErr(io.Discard)
	Execute(t.Context(), root, io.Discard)
	return strings.Join(strings.Fields(out.String()), " ")
}

// The words of Go's functions are no words for people.
func TestNoGoWords(t *testing.T) {
	for words, want := range map[string]string{
		"releases blog --all=maybe": " !     --all is true or false, not \"maybe\"",
		"logs blog -n":              " !     --num needs a value",
		"logs blog -n 1e3":          " !     -n is a number, not \"1e3\"",
	} {
		if is := execute(t, "paas", strings.Fields(words)...); !strings.HasPrefix(is, want) {
			t.Errorf("%s: %q, want %q", words, is, want)
		}
	}
}
