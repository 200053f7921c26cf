package local

import (
	"os"
	"path/filepath"
	"testing"

	"paas/engine/local/confine"
	"paas/rig"
)

// With Landlock alone, where apps have the server's user, an app can run toolchains and not change
// them, not even after it has changed their modes.
func TestToolchainsUnderLandlock(t *testing.T) {
	all := confine.Probe(t.TempDir(), rig.Self()...)
	if all.Landlock == 0 {
		t.Skip("SKIP: no Landlock")
	}
	root := t.TempDir()
	file := filepath.Join(root, "toolchains/node/20.17.0/bin/node")
	rig.Write(t, root, map[string]string{"toolchains/node/20.17.0/bin/node": "#!/bin/sh\necho v20.17.0"})
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &Local{
		Root: root, Self: rig.Self(), Layout: layout, Confined: Confined{Read: []string{filepath.Join(root, "toolchains")}},
		probe: found(confine.Isolation{Landlock: all.Landlock, Seccomp: all.Seccomp}),
	}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for line, want := range map[string]string{
		file: "v20.17.0\n",
		"chmod 777 " + file + " && echo x >>" + file + " && echo wrote":               "",
		"rm -f " + file + " && echo removed":                                          "",
		"echo x >" + filepath.Join(root, "toolchains/new") + " && echo wrote another": "",
	} {
		out := printed(t, l, spec{}, "sh -c '"+line+"' 2>/dev/null")
		if out != want {
			t.Errorf("%s printed %q, want %q", line, out, want)
		}
	}
}
