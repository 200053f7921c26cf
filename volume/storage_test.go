package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAddStorage(t *testing.T) {
	kept := []string{"media", "public/uploads"}
	for folder, want := range map[string][]string{
		"a": {"a", "media", "public/uploads"}, "public/uploads/": kept, "./media": kept,
		"public/up": {"media", "public/up", "public/uploads"}, "dist/uploads": {"dist/uploads", "media", "public/uploads"},
		"ünï/#%2F": {"media", "public/uploads", "ünï/#%2F"},
	} {
		if got, err := AddStorage(kept, folder); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", folder, got, err)
		}
	}
	for folder, why := range map[string]string{
		"":                      "a folder of the tree",
		".":                     "a folder of the tree",
		"/srv":                  "a folder of the tree",
		"../x":                  "a folder of the tree",
		"a/../../x":             "a folder of the tree",
		"a\nb":                  "a folder of the tree",
		strings.Repeat("a", 81): "at most 80 bytes",
		".git":                  "git and paas use .git",
		".paas/bin":             "git and paas use .paas",
		"web/node_modules":      "each build makes node_modules",
		"dist":                  "each build makes dist",
		"public":                "public/uploads, which is kept already, is in public",
		"media/large":           "media/large is in media, which is kept already",
	} {
		if got, err := AddStorage(kept, folder); err == nil || !strings.Contains(err.Error(), why) ||
			!reflect.DeepEqual(got, kept) {
			t.Errorf("%q: %q, %v", folder, got, err)
		}
	}
}

// The name of each folder on the volume tells its path.
func TestStored(t *testing.T) {
	app := testApp(t)
	for _, folder := range []string{"b/c%2F", "a"} {
		if err := os.MkdirAll(app.StorageFiles(folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(app.StorageFiles(folder), "x"), []byte("four"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := app.Stored()
	if err != nil || len(list) != 2 || list[0].Path != "a" || list[1].Path != "b/c%2F" || list[1].Bytes != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	if err := app.RemoveStored("a"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(app.StorageFiles("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
