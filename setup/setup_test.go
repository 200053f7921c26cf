package setup

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	one = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAL/PUBNnjjlhOnHDEz4ZQdP2jEUhUm5/SvJzIkWl+Ab"
	two = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqYCJZuZY5SkDQn2rHCCkXWCzkDBOGiFsfKPBCpUJiX"
)

// Keys are those that a person can use for anything; each once.
func TestKeys(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		first + "/.ssh/authorized_keys": "# mine\n" + one + " me@laptop\nno-pty " + two + " ci\n\nnonsense\n",
		second + "/.ssh/id_ed25519.pub": one + " again",
	} {
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := Keys(first, second, t.TempDir())
	if len(keys) != 2 || keys[0].Line != one+" me@laptop" || keys[1].Line != two+" ci" {
		t.Errorf("keys: %+v", keys)
	}
	for _, options := range []string{`command="backup"`, "cert-authority", `from="10.0.0.1"`, `expiry-time="20300101"`} {
		if keys := parse([]byte(options+" "+one+" x\n"), ""); len(keys) > 0 {
			t.Errorf("with %s the key may do everything", options)
		}
	}
}

func TestChoose(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pub")
	os.WriteFile(file, []byte(two+" file\n"), 0o600)
	found := []Key{{Line: "first"}, {Line: "second"}}
	for answer, want := range map[string]string{
		"2": "second", file: two + " file", one + " typed": one + " typed",
		"0": "", "3": "", "": "", "/nowhere": "", os.DevNull: "",
	} {
		keys, err := Choose(answer, found)
		if want == "" && err == nil || want != "" && (err != nil || len(keys) != 1 || keys[0].Line != want) {
			t.Errorf("%q: %v, %v", answer, keys, err)
		}
	}
}

// A bad answer is asked for again, an empty one is the suggestion, and nobody waits for an answer
// after an interrupt.
func TestAsk(t *testing.T) {
	var screen strings.Builder
	check := func(answer string) error {
		if answer == "bad" {
			return errors.New("not that")
		}
		return nil
	}
	p := &Person{bufio.NewReader(strings.NewReader("bad\n good \n\nlast")), &screen}
	for _, want := range []string{"good", "usual", "last"} {
		if answer, err := p.Ask(t.Context(), "What", "usual", check); answer != want || err != nil {
			t.Errorf("answer %q, %v; want %q", answer, err, want)
		}
	}
	if _, err := p.Ask(t.Context(), "What", "usual", check); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if want := "What [usual]:   not that\nWhat [usual]: "; !strings.HasPrefix(screen.String(), want) {
		t.Errorf("screen %q, want %q", screen.String(), want)
	}
	in, _ := io.Pipe()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Person{bufio.NewReader(in), io.Discard}).Ask(interrupted, "What", "", check); err != context.Canceled {
		t.Errorf("after an interrupt: %v", err)
	}
}
