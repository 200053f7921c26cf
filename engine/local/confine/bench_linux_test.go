package confine

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"paas/rig"
)

// BenchmarkEnter measures what a box adds to a command's start.
func BenchmarkEnter(b *testing.B) {
	dir := b.TempDir()
	os.Mkdir(dir+"/data", 0o755)
	os.Mkdir(dir+"/tmp", 0o755)
	isolation := Probe(b.TempDir(), rig.Self()...)
	if isolation.Sandboxes {
		b.Run("sandbox", func(b *testing.B) { benchmarkSandbox(b, isolation, dir) })
		return
	}
	for name, box := range map[string]*Box{
		"nothing": {},
		"Landlock": {
			Isolation: Isolation{Landlock: isolation.Landlock},
			Hide:      []string{dir},
			Write:     []string{dir + "/data"},
			Tmp:       dir + "/tmp",
		},
		"users": {
			Isolation: Isolation{Users: isolation.Users},
			UID:       blogUser,
			Hide:      []string{dir},
			Write:     []string{dir + "/data"},
			Tmp:       dir + "/tmp",
		},
		"all": {
			Isolation: isolation,
			UID:       blogUser,
			Hide:      []string{dir},
			Write:     []string{dir + "/data"},
			Tmp:       dir + "/tmp",
		},
		"places": {
			Isolation: isolation,
			UID:       blogUser,
			Hide:      []string{dir},
			Places:    appPlaces(dir),
			Tmp:       dir + "/tmp",
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cmd := exec.Command("/bin/true")
				cmd.SysProcAttr = &syscall.SysProcAttr{}
				if err := onThread(func() error {
					if err := box.Enter(cmd.SysProcAttr); err != nil {
						return err
					}
					return cmd.Run()
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// appPlaces are the places of a process of an app.
func appPlaces(dir string) (places []Place) {
	for _, name := range []string{"tree", "cache", "data", "toolchains"} {
		os.MkdirAll(filepath.Join(dir, name), 0o755)
	}
	return []Place{
		{From: dir + "/tree", At: App, Writable: true},
		{From: dir + "/cache", At: Beside + "/cache"},
		{From: dir + "/toolchains", At: Beside + "/toolchains"},
		{From: dir + "/data", At: Beside + "/data", Writable: true},
	}
}

func benchmarkSandbox(b *testing.B, isolation Isolation, dir string) {
	l := &Launcher{Self: rig.Self()}
	if err := l.Open(); err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	s, err := l.Sandbox("blog")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Leave()
	box := &Box{
		Isolation: isolation,
		Hide:      []string{dir, Run},
		Places:    appPlaces(dir),
		Tmp:       dir + "/tmp",
	}
	box.In(s)
	for b.Loop() {
		cmd := exec.Command("/bin/true")
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		err := box.Start(cmd, func(int) error { return nil })
		if err == nil {
			err = cmd.Wait()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
