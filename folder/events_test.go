package folder

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestEvents(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	names, err := Events(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if name := <-names; name != "file" {
		t.Error(name)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range names { // ends when dir is gone
	}
}

func TestEventsEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	names, err := Events(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if name, open := <-names; open {
		t.Error(name)
	}
}

func TestEventsOfNothing(t *testing.T) {
	if _, err := Events(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}
