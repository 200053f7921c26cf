package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

// machine is a fresh Debian 12 with the packages that paas needs and no others, which systemd has
// booted in namespaces of its own. It shares the network with the test, which is in one of its own.
type machine struct {
	t    *testing.T
	root string // the folder of its files
	pid  int    // of its systemd, as we see it
}

// needed are the packages of the machine: what boots it, and what ours depends on.
const needed = "systemd-sysv,ca-certificates,git,nftables,debconf"

// tree returns a tar file with a fresh Debian. The file is kept for a week.
func tree(t *testing.T) string {
	t.Helper()
	caches, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(caches, "paas-test", "machine-"+strings.ReplaceAll(needed, ",", "-")+".tar")
	if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) < 7*24*time.Hour {
		return path
	}
	argv := []string{"--quiet", "--variant=minbase", "--include=" + needed, "bookworm", path + ".new"}
	const sources = "/etc/apt/sources.list.d/debian.sources"
	if release, err := os.ReadFile(sources); err == nil && bytes.Contains(release, []byte("bookworm")) {
		argv = append(argv, sources) // the mirrors that this machine reaches
	}
	os.MkdirAll(filepath.Dir(path), 0o755)
	if out, err := exec.Command("mmdebstrap", argv...).CombinedOutput(); err != nil {
		os.Remove(path + ".new")
		t.Fatalf("mmdebstrap: %v: %s", err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// boot boots a machine and waits until systemd has started everything.
func boot(t *testing.T) *machine {
	m := &machine{t: t, root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(m.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xf", tree(t), "-C", m.root).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	script, err := filepath.Abs("testdata/boot")
	if err != nil {
		t.Fatal(err)
	}
	group := cgroup(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// The shell enters the group, whose namespace is then systemd's.
	const enter = `echo $$ >"$0" && exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child "$@"`
	cmd := exec.Command("sh", "-c", enter, filepath.Join(group, "cgroup.procs"), "sh", script, m.root)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		removeGroup(t, group)
	})
	rig.Eventually(t, "systemd has started everything", func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		m.pid, _ = strconv.Atoi(strings.TrimSpace(string(children)))
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", m.pid)); string(name) != "systemd\n" {
			return false
		}
		out, _ := m.try("systemctl is-system-running")
		return strings.TrimSpace(out) == "running"
	})
	return m
}

// cgroup makes a control group of version 2 for the machine.
func cgroup(t *testing.T) string {
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(root, "paas-release")
		if err == nil {
			return dir
		}
	}
	t.Skip("SKIP: systemd needs a control group of version 2")
	return ""
}

// removeGroup removes a control group and those below it, once their processes are gone.
func removeGroup(t *testing.T, group string) {
	rig.Eventually(t, "the machine's control groups can be removed", func() bool {
		var dirs []string
		filepath.WalkDir(group, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append([]string{path}, dirs...)
			}
			return nil
		})
		for _, dir := range dirs {
			os.Remove(dir)
		}
		_, err := os.Stat(group)
		return errors.Is(err, os.ErrNotExist)
	})
}

// try runs a line of shell on the machine, as root, and returns what it printed.
func (m *machine) try(line string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(m.pid), "-m", "-p", "-u", "-i", "-C",
		"env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8",
		"sh", "-c", "cd && "+line)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sh is try for lines that must succeed.
func (m *machine) sh(line string) string {
	m.t.Helper()
	out, err := m.try(line)
	if err != nil {
		log, _ := m.try("journalctl -b --no-pager -n 40 -u paas -u paas-ports")
		m.t.Fatalf("%s: %v\n%s\n%s", line, err, out, log)
	}
	return out
}

// wants fails the test unless the line succeeds and prints all parts.
func (m *machine) wants(line string, parts ...string) {
	m.t.Helper()
	rig.WantIn(m.t, line, m.sh(line), parts...)
}

// users returns the user of each process of that name.
func (m *machine) users(name string) []string {
	m.t.Helper()
	return strings.Fields(m.sh(`for p in /proc/[0-9]*; do
		if [ "$(cat $p/comm 2>/dev/null)" = ` + name + ` ]; then stat -c %u $p; fi
	done`))
}

// pids returns the ids of the processes of that name.
func (m *machine) pids(name string) string {
	m.t.Helper()
	return m.sh(`for p in /proc/[0-9]*; do
		if [ "$(cat $p/comm 2>/dev/null)" = ` + name + ` ]; then echo ${p#/proc/}; fi
	done`)
}

// server returns the id of the process that serves: the child of the keeper that has the same
// command line. It is empty while there is none.
func (m *machine) server() string {
	m.t.Helper()
	return m.sh(`keeper=$(systemctl show -P MainPID paas)
		for p in $(cat /proc/$keeper/task/*/children); do
			if cmp -s /proc/$p/cmdline /proc/$keeper/cmdline; then echo $p; fi
		done`)
}

// files lists the machine's files, but for what every package leaves behind.
func (m *machine) files() string {
	return m.sh(`find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp ` +
		`-o -path /var/lib/dpkg -o -path /var/cache -o -path /var/log -o -path /var/lib/apt -o -path /var/lib/systemd \) -prune ` +
		`-o -print | sort`)
}
