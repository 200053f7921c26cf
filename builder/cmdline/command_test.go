package cmdline

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestArgumentList(t *testing.T) {
	sh := func(line string) []string { return []string{"/bin/sh", "-c", line} }
	for line, want := range map[string][]string{
		"node server.js":               {"node", "server.js"},
		"node  a\tb":                   {"node", "a", "b"},
		"./run --port=1 a@b:c,d+e%f":   {"./run", "--port=1", "a@b:c,d+e%f"},
		"node server.js $PORT":         sh("exec node server.js $PORT"),
		`node -e "a; b" 'c|d' \; *.js`: sh(`exec node -e "a; b" 'c|d' \; *.js`),
		"node ~/x":                     sh("exec node ~/x"),
		"A=1 node x":                   sh("A=1 node x"),
		"a && b":                       sh("a && b"),
		"a | b":                        sh("a | b"),
		"a > b":                        sh("a > b"),
		"a $(b)":                       sh("a $(b)"),
		"a `b`":                        sh("a `b`"),
		`a "$(b)"`:                     sh(`a "$(b)"`),
		"cd x":                         sh("cd x"),
		"exec a b":                     sh("exec a b"),
		"exec a $B":                    sh("exec a $B"),
		". ./env":                      sh(". ./env"),
		`"my app" x`:                   sh(`"my app" x`),
		"$CMD x":                       sh("$CMD x"),
		`a "b`:                         sh(`a "b`),
		"{ a; }":                       sh("{ a; }"),
		"a\nb":                         sh("a\nb"),
		"a & b":                        sh("a & b"),
	} {
		if got := Arguments(line); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// What Quote made of a word is that word again, through Arguments and the shell.
func TestQuoteWord(t *testing.T) {
	for _, word := range []string{"server.js", "my file.js", "it's", `a";$(touch x)`, "*"} {
		argv := Arguments("printf %s " + Quote(word))
		if got, err := exec.Command(argv[0], argv[1:]...).Output(); err != nil ||
			string(got) != word {
			t.Errorf("%q became %q, %v", word, got, err)
		}
	}
}

func TestMovePath(t *testing.T) {
	for text, want := range map[string]string{
		"/app":                     "/srv/tree",
		"/app/x:/app:/usr":         "/srv/tree/x:/srv/tree:/usr",
		`#!/app/bin/python "/app"`: `#!/srv/tree/bin/python "/srv/tree"`,
		"/opt/app /apps x/app /app-data /app.js file:///app": "/opt/app /apps x/app /app-data /app.js file:///app",
	} {
		if got := MovePath(text, "/app", "/srv/tree"); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestLookPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/tool": 0o755, "data": 0o644} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		path string // empty: an error
		err  error
	}{
		{"tool", filepath.Join(dir, "bin/tool"), nil},
		{"./bin/tool", filepath.Join(dir, "bin/tool"), nil},
		{"data", "", fs.ErrNotExist},
		{"nothing", "", fs.ErrNotExist},
		{"./nothing", "", fs.ErrNotExist},
		{"./data", "", fs.ErrPermission},
		{"./bin", "", fs.ErrPermission},
	} {
		if path, err := LookPath(tt.name, "bin:"+dir, dir); path != tt.path ||
			!errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", tt.name, path, err)
		}
	}
}

// A pipe is no program: who opened it would wait for ever.
func TestLookPathOfPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "python3")
	if err := errors.Join(unix.Mkfifo(pipe, 0o755), os.Chmod(pipe, 0o755)); err != nil {
		t.Fatal(err)
	}
	if path, err := LookPath("python3", dir, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in PATH: %q, %v", path, err)
	}
	if path, err := LookPath("./python3", "", dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("by its path: %q, %v", path, err)
	}
}
