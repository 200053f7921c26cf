package git

import (
	"os"
	"path/filepath"
	"testing"
)

// ChangeTree leaves what WriteTree would have written, and does not touch what both commits have.
func TestChangeTree(t *testing.T) {
	r := newRepo(t)
	file := func(content string) string { return "100644 blob " + blob(t, r, content) + "\t" }
	folder := func(entries ...string) string { return "040000 tree " + tree(t, r, entries...) + "\t" }
	same := folder(file("same")+"same", folder(file("deep")+"f")+"deep")
	trees := map[string][]string{
		"one": {
			same + "same", file("same") + "file", file("a") + "changes", file("mode") + "mode",
			file("gone") + "gone", folder(file("x")+"x", folder(file("y")+"y")+"y") + "folder gone",
			file("was a file") + "file to folder", folder(file("z")+"z") + "folder to file",
			"120000 blob " + blob(t, r, "file") + "\tlink", "120000 blob " + blob(t, r, "same") + "\tlink to folder",
			folder(same+"same", file("in")+"changes", file("gone")+"gone") + "inner",
		},
		"two": {
			same + "same", file("same") + "file", file("b") + "changes", "100755 blob " + blob(t, r, "mode") + "\tmode",
			folder(file("new")+"f") + "file to folder", file("was a folder") + "folder to file",
			file("file") + "link", folder(file("f")+"f") + "link to folder",
			folder(same+"same", file("out")+"changes", folder(file("new")+"new")+"new") + "inner",
		},
		"nothing": {},
	}
	for from, before := range trees {
		for to, after := range trees {
			old, h := commit(t, r, from, tree(t, r, before...)), commit(t, r, to, tree(t, r, after...))
			dir, err := writeTree(t, r, old)
			if err != nil {
				t.Fatal(err)
			}
			kept, _ := os.Stat(filepath.Join(dir, "inner", "same", "deep", "f"))
			o := r.Objects()
			if err := o.ChangeTree(t.Context(), old, h, dir); err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			o.Close()
			want, err := writeTree(t, r, h)
			if err != nil {
				t.Fatal(err)
			}
			compareTrees(t, from+" to "+to, readTree(t, dir), readTree(t, want))
			now, _ := os.Stat(filepath.Join(dir, "inner", "same", "deep", "f"))
			if kept != nil && now != nil && !os.SameFile(kept, now) {
				t.Errorf("%s to %s: a file that both have was written again", from, to)
			}
		}
	}
}
