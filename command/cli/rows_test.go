package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"paas/access"
	"paas/backup"
	"paas/command"
	"paas/remote"
	"paas/volume"
)

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICkQos1u59KQZZ4f8H2UeNIB83lJjmWQh8f/PPzGv9Sh bob@laptop\n"

// examples has a call of each row: the words of the command line, the same input as JSON, and facts
// that both the text and the JSON of the answer have.
var examples = map[string]struct {
	words string
	json  string
	facts string // separated by spaces
	stdin string
	raw   bool
}{
	"apps:list":       {words: "", json: `{}`, facts: "blog running http://blog.test"},
	"apps:create":     {words: "shop", json: `{"app":"shop"}`, facts: "shop ssh://paas@test/shop"},
	"apps:destroy":    {words: "blog --force", json: `{"app":"blog","force":true}`, facts: "blog"},
	"apps:info":       {words: "blog", json: `{"app":"blog"}`, facts: "blog running http://blog.test ssh://paas@test/blog 18aed0a127be main one alice push node alone"},
	"apps:rename":     {words: "follower news", json: `{"app":"follower","to":"news"}`, facts: "follower news http://news.test ssh://paas@test/news"},
	"url":             {words: "blog", json: `{"app":"blog"}`, facts: "http://blog.test"},
	"config":          {words: "blog", json: `{"app":"blog"}`, facts: "COLOR red"},
	"config:get":      {words: "blog COLOR", json: `{"app":"blog","key":"COLOR"}`, facts: "red"},
	"config:export":   {words: "blog", json: `{"app":"blog","format":"exports"}`, facts: "COLOR red"},
	"config:set":      {words: "blog COLOR=blue SIZE=a=b", json: `{"app":"blog","vars":{"COLOR":"blue","SIZE":"a=b"}}`, facts: "v3 live http://blog.test"},
	"config:unset":    {words: "blog COLOR", json: `{"app":"blog","keys":["COLOR"]}`, facts: "v3 live http://blog.test"},
	"settings":        {words: "blog", json: `{"app":"blog"}`, facts: "main release 5s 10s off http1 public"},
	"settings:set":    {words: "blog grace=20s build-dir=x", json: `{"app":"blog","settings":{"grace":"20s","build-dir":"x"}}`, facts: "main 5s 20s x takes"},
	"storage":         {words: "blog", json: `{"app":"blog"}`, facts: "media"},
	"storage:add":     {words: "blog public/uploads", json: `{"app":"blog","folder":"public/uploads"}`, facts: "v3 live http://blog.test"},
	"storage:remove":  {words: "blog media --delete", json: `{"app":"blog","folder":"media","delete":true}`, facts: "media removed"},
	"ps":              {words: "blog", json: `{"app":"blog"}`, facts: "web running 2 4711"},
	"ps:scale":        {words: "blog worker=1", json: `{"app":"blog","counts":{"worker":1}}`, facts: "worker=1 worker.1"},
	"ps:restart":      {words: "blog web.1", json: `{"app":"blog","name":"web.1"}`, facts: "Restarting web.1 v2"},
	"ps:rebuild":      {words: "blog --clear-cache", json: `{"app":"blog","clear_cache":true}`, facts: "v3 live http://blog.test"},
	"ps:stop":         {words: "blog", json: `{"app":"blog"}`, facts: "blog stopped"},
	"ps:start":        {words: "tired", json: `{"app":"tired"}`, facts: "tired started http://tired.test"},
	"limits":          {words: "blog", json: `{"app":"blog"}`, facts: "web.1 7"},
	"limits:set":      {words: "blog worker cpu=0.5 memory=256M", json: `{"app":"blog","type":"worker","limits":{"cpu":"0.5","memory":"256M"}}`, facts: "worker cpu=0.5 memory=256M"},
	"sleep:set":       {words: "blog 10m", json: `{"app":"blog","after":"10m"}`, facts: "blog 10m"},
	"maintenance:on":  {words: "blog", json: `{"app":"blog"}`, facts: "blog maintenance"},
	"maintenance:off": {words: "blog", json: `{"app":"blog"}`, facts: "blog"},
	"auth:set":        {words: "blog dora", json: `{"app":"blog","user":"dora"}`, facts: "blog carol dora", stdin: "open sesame\n"},
	"auth:unset":      {words: "blog carol", json: `{"app":"blog","user":"carol"}`, facts: "blog"},
	"allow:set":       {words: "blog 192.0.2.0/24 2001:db8:0::7", json: `{"app":"blog","addresses":["192.0.2.0/24","2001:db8:0::7"]}`, facts: "blog 192.0.2.0/24 2001:db8::7"},
	"logs":            {words: "blog -n 2 -p web", json: `{"app":"blog","num":2,"processes":["web"]}`, facts: "hello web.1 2026-11-25T10:00:00"},
	"releases":        {words: "blog -n 1", json: `{"app":"blog","number":1}`, facts: "2 live alice push 18aed0a one"},
	"rollback":        {words: "blog v1", json: `{"app":"blog","to":"v1"}`, facts: "v3 live http://blog.test"},
	"run":             {words: "blog -- echo -n hi", json: `{"app":"blog","argv":["echo","-n","hi"]}`, raw: true},
	"cron":            {words: "blog", json: `{"app":"blog"}`, facts: "1 @daily tidy ok"},
	"cron:run":        {words: "blog 1", json: `{"app":"blog","id":1}`, facts: "tidy ok"},
	"source":          {words: "follower", json: `{"app":"follower"}`, facts: "follower https://host.test/repo.git main 10s waiting"},
	"source:set":      {words: "blog https://host.test/repo.git --branch main --every 20s", json: `{"app":"blog","url":"https://host.test/repo.git","branch":"main","every":"20s"}`, facts: "blog https://host.test/repo.git 20s main abcdef0"},
	"source:sync":     {words: "follower", json: `{"app":"follower"}`, facts: "synced follower v3 live"},
	"source:webhook":  {words: "follower", json: `{"app":"follower"}`, facts: "http://hooks.test/follower"},
	"source:unset":    {words: "follower", json: `{"app":"follower"}`, facts: "follower"},
	"keys":            {words: "", json: `{}`, facts: "alice ssh-ed25519 SHA256:"},
	"keys:add":        {words: "bob --admin", json: `{"name":"bob","admin":true}`, facts: "bob admin SHA256:", stdin: testKey},
	"keys:remove":     {words: "guest", json: `{"name":"guest"}`, facts: "guest"},
	"events:on":       {words: "", json: `{}`, facts: "events recorded"},
	"events:off":      {words: "", json: `{}`, facts: "events recorded"},
	"doctor":          {words: "", json: `{}`, facts: "git disk nearly full free some"},
	"apps:exists":     {words: "blog", json: `{"app":"blog"}`, facts: "blog exists"},
	"events":          {words: "blog -n 5", json: `{"app":"blog","number":5}`, facts: "alice push blog v1"},

	"access":         {words: "blog", json: `{"app":"blog"}`, facts: "alice guest deploy"},
	"access:add":     {words: "blog guest operate", json: `{"app":"blog","who":"guest","right":"operate"}`, facts: "blog guest operate"},
	"access:remove":  {words: "blog guest", json: `{"app":"blog","who":"guest"}`, facts: "blog guest"},
	"keys:role":      {words: "guest member", json: `{"name":"guest","role":"member"}`, facts: "guest member"},
	"domains":        {words: "blog", json: `{"app":"blog"}`, facts: "blog blog.test"},
	"domains:add":    {words: "blog www.example.com", json: `{"app":"blog","domains":["www.example.com"]}`, facts: "blog https://www.example.com ca.example"},
	"domains:remove": {words: "blog old.example.com", json: `{"app":"blog","domains":["old.example.com"]}`, facts: "blog old.example.com"},
	"domains:report": {words: "blog", json: `{"app":"blog"}`, facts: "blog.test old.example.com ca.example offline"},
	"redirect:set":   {words: "blog old.example.com blog.test", json: `{"app":"blog","from":"old.example.com","to":"blog.test"}`, facts: "blog.test old.example.com"},
	"redirect:unset": {words: "blog moved.example.com", json: `{"app":"blog","from":"moved.example.com"}`, facts: "moved.example.com"},
	"certs":          {words: "blog", json: `{"app":"blog"}`, facts: "blog.test blog ca.example"},
	"certs:add":      {words: "blog", json: `{"app":"blog"}`, facts: "blog old.example.com", stdin: testPair},
	"certs:remove":   {words: "blog", json: `{"app":"blog"}`, facts: "blog removed"},
	"https:set":      {words: "blog redirect=off hsts=30d", json: `{"app":"blog","settings":{"redirect":"off","hsts":"30d"}}`, facts: "blog plain 30d"},

	"backup":           {words: "blog --logs", json: `{"app":"blog","logs":true}`, raw: true},
	"backup:list":      {words: "", json: `{}`, facts: "paas-20261130T030000Z.backup backups/files", stdin: ""},
	"backup:verify":    {words: "paas-20261130T030000Z.backup", json: `{"name":"paas-20261130T030000Z.backup"}`, facts: "whole shop"},
	"backup:schedule":  {words: "@daily --keep 14", json: `{"when":"@daily","keep":14}`, facts: "@daily 14"},
	"restore":          {words: "- shop --paused", json: `{"file":"-","app":"shop","paused":true}`, facts: "shop paused restore:activate", stdin: testBackup()},
	"restore:activate": {words: "returned", json: `{"app":"returned"}`, facts: "returned active"},

	"tokens":        {words: "", json: `{}`, facts: "old deploy"},
	"tokens:create": {words: "ci --app blog --can view --expires 12h", json: `{"name":"ci","apps":["blog"],"can":"view","expires":"12h"}`, facts: "paas_"},
	"tokens:revoke": {words: "old", json: `{"name":"old"}`, facts: "old"},
}

// testBackup is a backup of an app called shop, which has nothing yet.
func testBackup() string {
	dir, err := os.MkdirTemp("", "paas")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	vol := &volume.Volume{Root: dir, Log: slog.New(slog.DiscardHandler)}
	var out strings.Builder
	if err = vol.Open(); err == nil {
		_, err = vol.Create("shop")
	}
	if err == nil {
		_, err = backup.Maker{Volume: vol}.Write(context.Background(), &out, backup.What{App: "shop"}, backup.Lock{})
	}
	if err = errors.Join(err, vol.Close()); err != nil {
		panic(err)
	}
	return out.String()
}

// TestRowsSaySameAsTextAndJSON calls each row twice, and looks for the facts in both answers.
func TestRowsSaySameAsTextAndJSON(t *testing.T) {
	for _, row := range command.Rows() {
		name := row.About().Name
		example, ok := examples[name]
		if !ok {
			t.Errorf("%s has no example", name)
		}
		if !ok || example.raw {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, format := range []string{"text", "json"} {
				if name == "config:export" && format == "text" {
					format = "exports"
				}
				answer := callExample(t, admin, name, "--format", format)
				for _, fact := range strings.Fields(example.facts) {
					if !strings.Contains(answer, fact) {
						t.Errorf("the %s does not say %s:\n%s", format, fact, answer)
					}
				}
				if format == "json" && !isJSON(answer) {
					t.Errorf("not JSON:\n%s", answer)
				}
			}
		})
	}
}

// What people read about an answer as a whole, programs read too.
func TestJSONHasFactsOfTheWhole(t *testing.T) {
	for _, c := range []struct{ name, words, want string }{
		{"ps", "blog", `"app": "blog"`},
		{"ps", "", `"app": "tired"`},
		{"ps", "tired", `"processes": []`},
		{"ps", "tired", `"idle": "stopped"`},
		{"ps", "tired", `"next": "ps:start tired"`},
		{"releases", "blog -n 1", `"more": true`},
		{"releases", "follower", `"releases": []`},
		{"source:sync", "follower", `"release":{"app":"follower","number":3}`},
		{"cron", "blog", `"zone": "Europe/Lisbon"`},
		{"cron", "follower", `"entries": []`},
	} {
		words := append(strings.Fields(c.words), "--format", "json")
		answer, _, err := callRow(t, newStage(t), admin, c.name, words, "")
		if err != nil || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s: no %s in\n%s%v", c.name, c.words, c.want, answer, err)
		}
	}
}

// isJSON reports whether text is one JSON value, or several.
func isJSON(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	for {
		var v any
		if err := d.Decode(&v); err != nil {
			return errors.Is(err, io.EOF) && text != ""
		}
	}
}

// What follows the app works with the app in front and with --app.
func TestAppOfEachRow(t *testing.T) {
	for _, row := range command.Rows() {
		if !command.TakesApp(row.Input()) {
			continue
		}
		name := row.About().Name
		app, rest, _ := strings.Cut(examples[name].words, " ")
		for _, flag := range []string{"-a " + app, "--app " + app, "--app=" + app} {
			want, got := readWords(t, row, app+" "+rest), readWords(t, row, flag+" "+rest)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s %s is %+v, want %+v", name, flag, rest, got, want)
			}
		}
	}
}

// The example that the help of each row shows is one that the row takes.
func TestExampleOfEachRow(t *testing.T) {
	for _, row := range command.Rows() {
		about := row.About()
		if about.Example == "" && len(command.Fields(row.Input())) > 0 {
			t.Errorf("%s has no example", about.Name)
		}
		words, _, _ := strings.Cut(strings.ReplaceAll(about.Example, " >", " <"), " <")
		readWords(t, row, words)
	}
}

func readWords(t *testing.T, row command.Row, words string) any {
	t.Helper()
	cmd := &cobra.Command{}
	l := newLine(row, cmd)
	if err := cmd.ParseFlags(strings.Fields(words)); err != nil {
		t.Errorf("%s %s: %v", row.About().Name, words, err)
	}
	if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
		t.Errorf("%s %s: %v", row.About().Name, words, err)
	}
	return l.in
}

// TestRowsReadSameFromWordsAndJSON gives each row its input both ways.
func TestRowsReadSameFromWordsAndJSON(t *testing.T) {
	for _, row := range command.Rows() {
		name := row.About().Name
		example := examples[name]
		fromWords := readWords(t, row, example.words)
		in := row.Input()
		command.SetDefaults(in)
		d := json.NewDecoder(strings.NewReader(example.json))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil {
			t.Errorf("%s %s: %v", name, example.json, err)
		}
		if !reflect.DeepEqual(fromWords, in) {
			t.Errorf("%s %s is %+v, but %s is %+v", name, example.words, fromWords, example.json, in)
		}
	}
}

var (
	admin = command.Caller{Identity: access.Local("alice"), Door: "cli"}
	guest = command.Caller{Identity: access.Identity{Name: "guest", Key: guestKey}, Door: "ssh"}
)

// TestRefusedChangeNothing checks that what was forbidden did not happen, and is in the audit log.
func TestRefusedChangeNothing(t *testing.T) {
	s := newStage(t)
	before, _ := s.server.Volume.Events("", 100)
	if _, _, err := callRow(t, s, guest, "keys:remove", []string{"guest"}, ""); err == nil {
		t.Error("it was done")
	}
	if keys, _ := s.server.Keys.List(); len(keys) != 2 {
		t.Errorf("left are the keys %v", keys)
	}
	after, _ := s.server.Volume.Events("", 100)
	if len(after) != len(before)+1 {
		t.Fatalf("recorded: %+v", after)
	}
	last := after[len(before)]
	last.At = time.Time{}
	if want := (volume.Event{By: "guest", Via: "ssh", With: "key " + guestKey, Did: "keys:remove", End: volume.Refused}); last != want {
		t.Errorf("recorded: %+v", last)
	}
}

// TestAuditOfEachRow checks that what changes something is recorded once, under the row's name and
// for its app, and that what only shows something is not.
func TestAuditOfEachRow(t *testing.T) {
	shows := strings.Fields("backup:list apps:list apps:exists events:on domains domains:report certs apps:info url config config:get config:export settings storage ps limits logs releases cron source source:webhook keys tokens access events doctor")
	elsewhere := []string{"run", "source:sync"} // the runtime and the sidecar record these
	for _, row := range command.Rows() {
		name := row.About().Name
		if slices.Contains(elsewhere, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			before, _ := s.server.Volume.Events("", 100)
			if _, _, err := callRow(t, s, admin, name, strings.Fields(examples[name].words), examples[name].stdin); err != nil {
				t.Fatal(err)
			}
			after, _ := s.server.Volume.Events("", 100)
			var did []string
			for _, e := range after[len(before):] {
				did = append(did, e.By+" "+e.Did+" "+e.App)
			}
			app, _, _ := strings.Cut(examples[name].words, " ")
			if strings.HasPrefix(name, "keys:") || strings.HasPrefix(name, "tokens:") || strings.HasPrefix(name, "events:") ||
				strings.HasPrefix(name, "backup:") {
				app = ""
			}
			if name == "restore" { // a file comes first
				app = "shop"
			}
			want := []string{"alice " + name + " " + app}
			if slices.Contains(shows, name) {
				want = nil
			}
			if !slices.Equal(did, want) {
				t.Errorf("recorded %q, want %q", did, want)
			}
		})
	}
}

// eventsAtPeek looks for events when a verb looks at a repository, which may take long.
type eventsAtPeek struct {
	fakeSidecar
	t      *testing.T
	volume *volume.Volume
}

func (p eventsAtPeek) Peek(ctx context.Context, app volume.App) (remote.Head, error) {
	events, err := p.volume.Events(app.Name, 1)
	if err != nil || len(events) == 0 || events[0].Did != "source:set" {
		p.t.Errorf("%v, %v", events, err)
	}
	return p.fakeSidecar.Peek(ctx, app)
}

// A change is recorded before the verb waits for what comes of it: that wait may be interrupted.
func TestAuditComesBeforeTheWait(t *testing.T) {
	s := newStage(t)
	s.server.Sidecar = eventsAtPeek{t: t, volume: s.server.Volume}
	words := strings.Fields(examples["source:set"].words)
	if _, _, err := callRow(t, s, admin, "source:set", words, ""); err != nil {
		t.Error(err)
	}
}

// People read in the list of releases what to do about one that failed.
func TestReleasesAdvise(t *testing.T) {
	s := newStage(t)
	app, err := s.server.Volume.App("blog")
	s.must(err)
	s.must(app.SetStatus(1, volume.Status{
		State: volume.Failed, Reason: "killed", Remedy: volume.Remedy{Do: volume.RaiseMemory, App: "blog"},
	}))
	text, _, err := callRow(t, s, admin, "releases", []string{"blog"}, "")
	s.must(err)
	if want := "(killed; limits:set blog memory=... gives it more)"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}

// They read it also of one that was cancelled.
func TestReleasesAdviseOnCancelled(t *testing.T) {
	for cause, want := range map[string]string{
		volume.CausePush:   "(bob left; push again)",
		volume.CauseSync:   "(bob left; source:sync blog tries again)",
		volume.CauseConfig: "(bob left; run the command again)",
	} {
		s := newStage(t)
		app, err := s.server.Volume.App("blog")
		s.must(err)
		live, err := app.Release(2)
		s.must(err)
		live.Cause = cause
		r, err := app.Publish(live)
		s.must(err)
		s.must(app.Cancel(r.N, "bob left", volume.Remedy{}))
		text, _, err := callRow(t, s, admin, "releases", []string{"blog"}, "")
		s.must(err)
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Programs read from the last event what became live, and where.
func TestLiveReleaseInJSON(t *testing.T) {
	words := []string{"blog", "v1", "--format", "json"}
	answer, _, err := callRow(t, newStage(t), admin, "rollback", words, "")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(answer), "\n")
	var last command.Progress
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	want := command.Released{App: "blog", Number: 3, URL: "http://blog.test"}
	if last.Event != command.Live || last.Release == nil || *last.Release != want {
		t.Errorf("the last event is %s, want %+v", lines[len(lines)-1], want)
	}
}

// What the app has already may leave no space for a config var: that is no wrong use.
func TestTooMuchConfig(t *testing.T) {
	words := []string{"blog", "LARGE=" + strings.Repeat("x", 70_000)}
	_, _, err := callRow(t, newStage(t), admin, "config:set", words, "")
	if status := command.ExitStatus(err); status != 1 {
		t.Errorf("status %d: %v", status, err)
	}
}

var short = regexp.MustCompile(`^[a-z]+ .*[^.]$`)

// TestHelpOfEachRow checks that everything about a row is explained.
func TestHelpOfEachRow(t *testing.T) {
	names := map[string]bool{}
	for _, row := range command.Rows() {
		about := row.About()
		for _, name := range append(about.Aliases, about.Name) {
			if names[name] {
				t.Errorf("two rows are called %s", name)
			}
			names[name] = true
		}
		if !short.MatchString(about.Short) {
			t.Errorf("%s: %q is not a line that begins with a verb in small letters", about.Name, about.Short)
		}
		if !slices.ContainsFunc(groups, func(g group) bool { return g.is == about.Group }) {
			t.Errorf("%s: the help has no group %q", about.Name, about.Group)
		}
		for _, f := range command.Fields(row.Input()) {
			if f.JSON == "" {
				t.Errorf("%s: %s has no name in JSON", about.Name, f.Name)
			}
			if f.IsFlag && f.Help == "" {
				t.Errorf("%s: --%s is not explained", about.Name, f.Name)
			}
		}
	}
	for name := range examples {
		if !names[name] {
			t.Errorf("there is an example of %s, but no row", name)
		}
	}
}

// callExample calls the example of the row on a new stage, and returns all that it says.
func callExample(t *testing.T, who command.Caller, name string, flags ...string) string {
	t.Helper()
	example := examples[name]
	stdout, stderr, err := callRow(t, newStage(t), who, name, append(flags, strings.Fields(example.words)...), example.stdin)
	if err != nil {
		t.Errorf("%s %s: %v", name, example.words, err)
	}
	if len(flags) > 0 && flags[len(flags)-1] == "json" {
		return stdout
	}
	return stdout + stderr
}

func callRow(t *testing.T, s *stage, who command.Caller, name string, words []string, stdin string) (stdout, stderr string, err error) {
	t.Helper()
	if name == "ps:rebuild" {
		s.commit("blog")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return callWith(ctx, s, who, name, words, stdin)
}

// callWith calls the row of that name.
func callWith(
	ctx context.Context, s *stage, who command.Caller, name string, words []string, stdin string,
) (stdout, stderr string, err error) {
	words = append([]string{name}, words...)
	var out, errOut bytes.Buffer
	root := New("paas", "", s.server.Rights.Role(who.Identity), words, Table{
		Rows: command.Rows(),
		Begin: func(c *command.Call) (func(), error) {
			c.Server, c.Caller, c.Console = s.server, who, noConsole{}
			return func() {}, nil
		},
	})
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errOut)
	err = root.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

// While a release replaces another, two processes have one name.
func TestLimitsOfTwoProcessesOfOneName(t *testing.T) {
	s := newStage(t)
	app, err := s.server.Volume.App("follower")
	s.must(err)
	s.must(app.SetProcesses([]volume.Process{
		{Type: "web", Index: 1, Release: 2, PID: 12, Limits: volume.Limits{Processes: 7}},
		{Type: "web", Index: 1, Release: 1, PID: 11, Limits: volume.Limits{Processes: 5}},
	}))
	answer, _, err := callRow(t, s, admin, "limits", []string{"follower", "--format", "json"}, "")
	s.must(err)
	var limits struct {
		InForce []struct{ Release, Processes int } `json:"in_force"`
	}
	s.must(json.Unmarshal([]byte(answer), &limits))
	if fmt.Sprint(limits.InForce) != "[{2 7} {1 5}]" {
		t.Errorf("in force: %v", limits.InForce)
	}
}

func TestAppComesFirst(t *testing.T) {
	for words, want := range map[string]string{
		"config:get COLOR blog":        "the app comes first: config:get blog COLOR",
		"config:unset COLOR SIZE blog": "the app comes first: config:unset blog COLOR SIZE",
		"rollback v1 blog":             "the app comes first: rollback blog v1",
		"ps:restart worker blog":       "the app comes first: ps:restart blog worker",
		"ps:restart wrong worker":      "apps:list shows those there are",
	} {
		words := strings.Fields(words)
		_, _, err := callRow(t, newStage(t), admin, words[0], words[1:], "")
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", words, err, want)
		}
	}
}
