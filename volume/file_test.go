package volume

import (
	"os"
	"path/filepath"
	"testing"
)

// An app that runs as the server's user can replace folders of its own by links. No write goes
// through them to where the app itself cannot write.
func TestLinksInPlaceOfFolders(t *testing.T) {
	for name, test := range map[string]struct {
		link  string // below the root
		write func(App) error
	}{
		"status": {"apps/blog/releases/1", func(a App) error {
			return a.SetStatus(1, Status{State: Live})
		}},
		"commit": {"apps/blog/releases/1", func(a App) error { return a.Commit(1) }},
		"live":   {"apps/blog", func(a App) error { return a.SetLive(1) }},
		"publish": {"apps/blog/releases", func(a App) error {
			_, err := a.Publish(Release{})
			return err
		}},
		"a build": {"apps/blog/builds", func(a App) error {
			dir, err := a.vol.TempDir()
			if err == nil {
				_, err = a.PublishBuild(Build{Commit: "1234"}, dir)
			}
			return err
		}},
		"built":        {"apps/blog/builds/id", func(a App) error { return a.SetBuilt("id", Built{}) }},
		"remove":       {"apps/blog/builds", func(a App) error { return a.RemoveBuild("keys") }},
		"all apps":     {"apps", func(a App) error { return a.SetWanted(Wanted{}) }},
		"another path": {"apps/blog", func(a App) error { return a.SetSettings(Settings{}) }},
	} {
		v := &Volume{Root: t.TempDir()}
		if err := v.Open(); err != nil {
			t.Fatal(err)
		}
		app, err := v.Create("blog")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"apps/blog/releases/1", "apps/blog/builds/id", "ssh/keys", "ssh/blog"} {
			if err := os.MkdirAll(filepath.Join(v.Root, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(v.Root, test.link)
		if err := os.Rename(link, link+".was"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(v.Root, "ssh"), link); err != nil {
			t.Fatal(err)
		}
		if err := test.write(app); err == nil {
			t.Errorf("%s: written", name)
		}
		for dir, want := range map[string]int{"ssh": 2, "ssh/keys": 0, "ssh/blog": 0} {
			if has, err := os.ReadDir(filepath.Join(v.Root, dir)); len(has) != want || err != nil {
				t.Errorf("%s: %s has %v, %v", name, dir, has, err)
			}
		}
	}
}
