package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	for content, want := range map[string]string{
		"1\n":     "",
		"1":       "",
		"2\n":     "volume: ROOT has format 2, and this paas reads formats up to 1; start a newer paas",
		"":        `volume: format: the file has odd content: "" is no number from 1; restore it from a backup`,
		"0\n":     `volume: format: the file has odd content: "0\n" is no number from 1; restore it from a backup`,
		"newer\n": `volume: format: the file has odd content: "newer\n" is no number from 1; restore it from a backup`,
	} {
		v := &Volume{Root: filepath.Join(t.TempDir(), "ROOT")}
		os.Mkdir(v.Root, 0o700)
		write(t, filepath.Join(v.Root, "format"), content)
		got := ""
		if err := v.Open(); err != nil {
			got = strings.ReplaceAll(err.Error(), v.Root, "ROOT")
		}
		if got != want {
			t.Errorf("%q: %s", content, got)
		}
		if _, err := os.Stat(filepath.Join(v.Root, "apps")); (err == nil) != (want == "") {
			t.Errorf("%q: folders were made: %v", content, err == nil)
		}
	}
}

// A volume without the file gets one, and so does a new volume.
func TestNoFormat(t *testing.T) {
	a := testApp(t)
	path := filepath.Join(a.Volume().Root, "format")
	for range 2 {
		if content, err := os.ReadFile(path); string(content) != "1\n" {
			t.Errorf("%q, %v", content, err)
		}
		os.Remove(path)
		if err := a.Volume().Open(); err != nil {
			t.Fatal(err)
		}
	}
}
