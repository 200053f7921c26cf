package cli

import (
	"bytes"
	"strings"
	"testing"

	"paas/command"
)

// execute runs words as a command line of the table, and returns what it prints.
func execute(t *testing.T, use string, words ...string) string {
	t.Helper()
	var out bytes.Buffer
	begin := func(*command.Call) (func(), error) { return func() {}, nil }
	root := New(use, "", true, words, Table{Rows: command.Rows(), Begin: begin})
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
