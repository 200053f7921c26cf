package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A line of the docs to copy reaches the server: the default port of ssh is not that of paas.
func TestDocsNameThePort(t *testing.T) {
	portless := regexp.MustCompile(`ssh (-t )?paas@|ssh://paas@[a-z.]+/`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".md" && ext != ".yml" {
			return err
		}
		content, err := os.ReadFile(path)
		for line := range strings.Lines(string(content)) {
			if portless.MatchString(line) {
				t.Errorf("%s: no port: %s", path, line)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
