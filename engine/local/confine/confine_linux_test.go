package confine

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"paas/rig"
)

func TestMain(m *testing.M) {
	if Helper(os.Args) {
		return
	}
	if len(os.Args) == 7 && os.Args[1] == "attack" {
		victim, _ := strconv.Atoi(os.Args[2])
		attack(victim, os.Args[3], os.Args[4], os.Args[5], os.Args[6] == "true")
		return
	}
	os.Exit(m.Run())
}

// Runs all tests again as an ordinary user.
func TestNotRoot(t *testing.T) {
	rig.AsNobody(t, "^(TestBox|TestPlaces|TestPrivateTmp|TestOtherProcess|TestSameUser|TestOverFollowsNoLink|TestSandbox.*)$")
}

// User ids for the tests, nobody's on any machine.
const blogUser, shopUser = 71001, 71002

// inside runs a shell script in the box and returns its output.
func inside(t *testing.T, b *Box, script string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	tmp := b.Tmp
	if b.Isolation.Mounts() {
		tmp = "/tmp"
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SECRET=mine", "TMPDIR=" + tmp}
	cmd.Dir = b.Inside(b.Unmoved().Write[0])
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	begin(t, b, cmd)
	write.Close()
	out, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

// begin starts cmd in the box.
func begin(t *testing.T, b *Box, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if b.Isolation.Sandboxes {
		b.In(sandboxes(t))
		if err := b.Start(cmd, func(int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := onThread(func() error {
		if err := b.Enter(cmd.SysProcAttr); err != nil {
			return err
		}
		return cmd.Start()
	}); err != nil {
		t.Fatal(err)
	}
}

// sandboxes returns a sandbox for the test.
func sandboxes(t *testing.T) *Sandbox {
	t.Helper()
	launchersOnce.Do(func() {
		launcher = &Launcher{Self: rig.Self()}
		if err := launcher.Open(); err != nil {
			t.Fatal(err)
		}
	})
	s, err := launcher.Sandbox(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Leave)
	return s
}

var (
	launchersOnce sync.Once
	launcher      *Launcher
)

// place makes a root with two apps, and the box of the first.
func place(t *testing.T, isolation Isolation) (root string, b *Box) {
	t.Helper()
	root = rig.Tree(t, map[string]string{
		"apps/blog/builds/1/tree/page": "page", "apps/blog/data/kept": "kept",
		"apps/blog/settings.json": "secret",
		"apps/blog/cache/x":       "cached", "apps/shop/data/orders": "secret",
		"apps/shop/builds/1/tree/page": "secret",
		"apps/blog/repo.git/HEAD":      "secret", "ssh/host_key": "secret", "tmp/1/": "",
	})
	os.Chmod(root, 0o700)
	b = &Box{
		Isolation: isolation, UID: blogUser, Hide: []string{root},
		Read: []string{root + "/apps/blog/cache"},
		Write: []string{
			root + "/apps/blog/builds/1/tree", root + "/apps/blog/data",
		}, Tmp: filepath.Join(root, "tmp/own"),
	}
	if err := os.Mkdir(b.Tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	if isolation.Users {
		for _, dir := range append(b.Write, b.Tmp, root+"/apps/blog/cache") {
			if err := Own(dir, blogUser); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, b
}

// ways returns the kinds of Isolation that this machine supports.
func ways(t *testing.T) map[string]Isolation {
	t.Helper()
	has := Probe(t.TempDir(), rig.Self()...)
	t.Logf("in force: %s", has)
	list := map[string]Isolation{}
	if has.Landlock > 0 {
		list["Landlock"] = Isolation{Landlock: has.Landlock, Seccomp: canFilter()}
	} else {
		t.Log("SKIP: no Landlock in this kernel")
	}
	if has.Users {
		list["users"] = Isolation{Users: true}
		list["users and Landlock"] = has
	} else {
		t.Logf("SKIP: no user per app: %s", has.Missing)
	}
	if has.Sandboxes {
		list["sandboxes"] = Isolation{Sandboxes: true, Seccomp: has.Seccomp}
		list["sandboxes and Landlock"] = has
	}
	if len(list) == 0 {
		t.Skip("SKIP: nothing can be put in force here")
	}
	return list
}

func TestBox(t *testing.T) {
	for name, isolation := range ways(t) {
		t.Run(name, func(t *testing.T) {
			root, b := place(t, isolation)
			blog := root + "/apps/blog"
			for _, may := range []string{
				"cat page ../../../data/kept " + blog + "/cache/x", "echo new > page", "echo x > " +
					blog + "/data/new", "mkdir " + blog + "/data/d",
				"mv page " + blog + "/builds/1/tree/other",
				"echo '#!/bin/sh' > run; chmod +x run; ./run", "echo x > /dev/null",
				"echo x > $TMPDIR/x && cat $TMPDIR/x", "cat /etc/passwd", "head -c 1 /dev/urandom",
				"cat /proc/self/environ", "ls /proc/self/fd",
				"(sleep 10 & kill $!)", "printf x | cat /dev/stdin", "date > /dev/stdout",
			} {
				if out := inside(t, b,
					"{ "+may+"; } >"+b.Write[1]+"/out 2>&1 && echo done || cat "+b.Write[1]+"/out"); out != "done\n" {
					t.Errorf("cannot %s: %s", may, out)
				}
			}
			for _, not := range []string{
				"cat " + root + "/apps/shop/data/orders", "ls " + root + "/apps/shop", "cat " +
					root + "/apps/shop/builds/1/tree/page",
				"cat " + blog + "/settings.json", "cat " + root + "/ssh/host_key", "ls " + root +
					"/ssh", "cat " + blog + "/repo.git/HEAD",
				"cat ../../../../../ssh/host_key", "cat ../../../settings.json", "echo x > " +
					blog + "/cache/x", "echo x > " + blog + "/new",
				"echo x > " + root + "/new", "touch /etc/new", "touch /usr/new", "touch /dev/new",
				"touch /var/new", "mkdir /run/new", "rm -r " + root + "/apps/shop",
				"ln " + root + "/ssh/host_key here && cat here", "ln -s " + root +
					"/ssh/host_key link && cat link", "mv " + blog + "/data " + blog + "/moved",
				"cat /proc/" + strconv.Itoa(os.Getpid()) + "/environ", "kill -0 " +
					strconv.Itoa(os.Getpid()), "ls /proc/" + strconv.Itoa(os.Getpid()) + "/root/",
				"mount -t tmpfs tmpfs " + b.Write[1], "unshare -m true",
			} {
				if out := inside(t, b, "("+not+") && echo it could"); strings.Contains(out,
					"it could") || strings.Contains(out, "secret") {
					t.Errorf("can %s: %s", not, out)
				}
			}
			rig.WantIn(t, "status", inside(t, b,
				"grep -E 'NoNewPrivs|CapEff|CapBnd|^Groups' /proc/self/status"), "NoNewPrivs:\t1",
				"CapEff:\t0000000000000000")
		})
	}
}

// A command sees places at their own paths, and nothing of the server's. The machine's root stays as
// it is.
func TestPlaces(t *testing.T) {
	before, err := os.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	for name, isolation := range ways(t) {
		if !isolation.Mounts() {
			continue
		}
		root, b := place(t, isolation)
		b.Places = []Place{
			{From: b.Write[0], At: App, Writable: true},
			{From: b.Write[1], At: Beside + "/data", Writable: true},
			{From: b.Read[0], At: Beside + "/cache"},
			{From: root + "/missing", At: Beside + "/missing"},
		}
		b.Read, b.Write = nil, nil
		for script, want := range map[string]string{
			"pwd; cat page; ls /paas": "/app\npagecache\ndata\n",
			"cat /app/page /paas/data/kept /paas/cache/x; touch /app/new /paas/data/new":    "pagekeptcached",
			"ls " + root + " " + Beside + "/missing | grep -v ^ls; ls -d /.old* | grep old": "",
			"(touch /x || touch /paas/x || touch /paas/cache/x) && echo could":              "",
			"(umount -l /app || umount -l /paas || mv /paas/data /paas/x) && echo could":    "",
		} {
			script = "{ " + script + "; } 2>/dev/null; true"
			if got := inside(t, b, script); got != want {
				t.Errorf("%s: %s printed %q, want %q", name, script, got, want)
			}
		}
	}
	after, err := os.ReadDir("/")
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("the root had %v, and has %v", before, after)
	}
}

// A server in a chroot gives commands no other root than its own, and one whose machine has files
// where commands see others hides those.
func TestChroot(t *testing.T) {
	if missing := Probe(t.TempDir()).Missing; missing != "" {
		t.Skipf("SKIP: %s", missing)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tmp := range []string{"/tmp", App, Beside} {
		const script = `mount -t tmpfs none "$1" && mkdir "$1/u" "$1/w" "$1/r" &&
			mount -t overlay -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" none "$1/r" || exit 77
			cd "$1/r" &&
			for d in dev proc sys; do mount --rbind /$d $d || exit; done &&
			mkdir -p app paas opt && echo of the machine | tee app/page paas/data >/dev/null &&
			cp "$2" opt/test && TMPDIR=$3 exec chroot . /opt/test -test.run '^(TestBox|TestPlaces)$'`
		cmd := exec.Command("unshare", "-m", "sh", "-c", script, "sh", t.TempDir(), self, tmp)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() == 77 {
			t.Skipf("SKIP: no overlays here: %s", out)
		}
		if err != nil {
			t.Errorf("with files in %s: %v: %s", tmp, err, out)
		}
	}
}

// A command is handed the paths that it sees, and what it prints is read with the machine's.
func TestInsideOutside(t *testing.T) {
	b := &Box{Places: []Place{
		{From: "/srv/app/tree", At: App}, {From: "/srv/app/cache", At: Beside + "/cache"},
	}}
	for outside, inside := range map[string]string{
		"/srv/app/tree/x:/srv/app/cache:/srv": "/app/x:/paas/cache:/srv",
		"--in=/srv/app/tree":                  "--in=/app",
	} {
		if got := b.Inside(outside); got != inside {
			t.Errorf("inside, %s is %s", outside, got)
		}
		if got := b.Outside(inside); got != outside {
			t.Errorf("outside, %s is %s", inside, got)
		}
	}
}

// A mount over a folder of the app goes to no place that a link of the app leads to.
func TestOverFollowsNoLink(t *testing.T) {
	for name, isolation := range ways(t) {
		if !isolation.Mounts() {
			continue
		}
		_, b := place(t, isolation)
		tree, data := b.Write[0], b.Write[1]
		if err := os.Symlink("/etc", tree+"/link"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"link", "link/ssl", "page", "missing"} {
			b.Over = []Over{{From: data, Top: tree, Path: path}}
			cmd := exec.Command("/bin/true")
			cmd.SysProcAttr = &syscall.SysProcAttr{}
			var err error
			if isolation.Sandboxes {
				b.In(sandboxes(t))
				err = b.Start(cmd, func(int) error { return nil })
			} else {
				err = onThread(func() error { return b.Enter(cmd.SysProcAttr) })
			}
			rig.WantIn(t, name, rig.Message(err), "storage: "+path)
		}
	}
}

// Files of others in /tmp are invisible, and the box's are visible nowhere else.
func TestPrivateTmp(t *testing.T) {
	for name, isolation := range ways(t) {
		_, b := place(t, isolation)
		mark := filepath.Base(t.TempDir()) + strconv.Itoa(os.Getpid())
		theirs := "/tmp/paas-test-" + mark
		if err := os.WriteFile(theirs, []byte("secret"), 0o666); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(theirs)
		folders := []string{"/tmp", "/var/tmp", "/dev/shm"}
		for _, dir := range folders {
			out := inside(t, b, "cat "+theirs+"; touch "+dir+"/x"+mark+" && echo wrote")
			if strings.Contains(out, "secret") || strings.Contains(out, "wrote") != isolation.Mounts() {
				t.Errorf("%s: %s: %s", name, dir, out)
			}
			if _, err := os.Stat(dir + "/x" + mark); err == nil {
				os.Remove(dir + "/x" + mark)
				t.Errorf("%s: a file in %s is visible to all", name, dir)
			}
		}
	}
}

// An app cannot read another app's processes or files, nor kill them.
func TestOtherProcess(t *testing.T) {
	for name, isolation := range ways(t) {
		_, b := place(t, isolation)
		other := exec.Command("sleep", "1000")
		other.Env = []string{"SECRET=theirs"}
		_, theirs := place(t, isolation)
		theirs.UID = shopUser
		begin(t, theirs, other)
		pid := strconv.Itoa(other.Process.Pid)
		for _, not := range []string{
			"cat /proc/" + pid + "/environ", "kill -9 " + pid, "ls -l /proc/" + pid + "/cwd/",
			"cat /proc/" + pid + "/maps", "kill -STOP " + pid,
		} {
			if out := inside(t, b, not+" && echo it could"); strings.Contains(out, "it could") ||
				strings.Contains(out, "theirs") {
				t.Errorf("%s: can %s: %s", name, not, out)
			}
		}
		if out := inside(t, b, "ls -d /proc/"+pid); isolation.Mounts() &&
			!strings.Contains(out, "No such file") {
			t.Errorf("%s: /proc shows the other app's process: %s", name, out)
		}
		if err := syscall.Kill(other.Process.Pid, 0); err != nil {
			t.Errorf("%s: the other app's process has died: %v", name, err)
		}
		other.Process.Kill()
		other.Wait()
	}
}

// A home folder that other users may not enter is covered as a whole, but the box's files in it are
// visible at their paths.
func TestBelowClosedFolder(t *testing.T) {
	isolation := Probe(t.TempDir())
	if !isolation.Users {
		t.Skipf("SKIP: no user per app: %s", isolation.Missing)
	}
	top, err := os.MkdirTemp("/opt", "paas-test-") // not below /tmp, which is the box's own
	if err != nil {
		t.Skipf("SKIP: %v", err)
	}
	defer os.RemoveAll(top)
	rig.Write(t, top, map[string]string{
		"home/.ssh/id": "secret", "home/.paas/apps/blog/data/x": "data",
		"home/.paas/ssh/key": "secret", "home/.nvm/v22/bin/tool": "tool", "home/bin/a": "a",
	})
	home := top + "/home"
	os.Chmod(top, 0o755)
	os.Chmod(home, 0o700)
	data := home + "/.paas/apps/blog/data"
	b := &Box{Isolation: isolation, UID: blogUser, Hide: []string{home + "/.paas", home},
		Write: []string{data}, Tmp: t.TempDir(),
		Read: Tools(home+"/.nvm/v22/bin:"+home+"/bin:/usr/bin", []string{home},
			[]string{home + "/.paas"})}
	for _, dir := range []string{data, b.Tmp} {
		if err := Own(dir, blogUser); err != nil {
			t.Fatal(err)
		}
	}
	out := inside(t, b,
		"pwd -P; cat x; echo; cat "+home+"/.nvm/v22/bin/tool; ls -A "+home+" "+home+"/.paas; echo x > "+home+"/.nvm/v22/y; echo y > "+home+"/y")
	want := data + "\ndata\ntool" + home + ":\n.nvm\n.paas\nbin\n\n" + home + "/.paas:\napps\n"
	if !strings.HasPrefix(out, want) || strings.Count(out, "cannot create") != 2 {
		t.Errorf("got %s\nwant %s", out, want)
	}
}

func TestTools(t *testing.T) {
	home := rig.Tree(t, map[string]string{".rustup/x": "", ".local/share/uv/x": "",
		".local/share/keyrings/x": "", ".nvm/versions/node/v22/bin/node": "",
		"node-22/bin/node": "", "t/node_modules/.bin/npm": "",
		"bin/a": "", "go/bin/a": "", ".cargo/bin/a": "", ".local/bin/a": "", "w/x": ""})
	for path, want := range map[string]string{
		"/usr/bin:/bin":                  "",
		"bin:.:" + home:                  "",
		home + "/bin":                    home + "/bin",
		home + "/go/bin":                 home + "/go/bin",
		home + "/node-22/bin/":           home + "/node-22",
		home + "/t/node_modules/.bin":    home + "/t/node_modules",
		home + "/.cargo/bin":             home + "/.cargo/bin " + home + "/.rustup",
		home + "/.local/bin":             home + "/.local/bin " + home + "/.local/share/uv",
		home + "/.nvm/versions/node/v22": home + "/.nvm",
		filepath.Dir(home):               "",
		"/":                              "",
	} {
		var got []string
		for _, dir := range Tools(path, []string{home}, nil) {
			if dir != "/usr/bin" && dir != "/bin" {
				got = append(got, dir)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Tools(%s) = %q, want %q", path, got, want)
		}
	}
	if got := Tools(home+"/w", nil, []string{home + "/w/x"}); len(got) != 0 {
		t.Errorf("Tools shows a hidden folder: %q", got)
	}
}

// Programs find the name of their user.
func TestUsers(t *testing.T) {
	_, b := place(t, Probe(t.TempDir()))
	if !b.Isolation.Users {
		t.Skipf("SKIP: no user per app: %s", b.Isolation.Missing)
	}
	before, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"blog": "blog blog", "root": "app-root app-root"} {
		if b.Replace, err = Users(t.TempDir(), name, blogUser, b.Write[1]); err != nil {
			t.Fatal(err)
		}
		script := "echo $(whoami) $(id -gn) $(id -u); eval echo ~" + strings.Fields(want)[0] +
			"; grep -c ^root: /etc/passwd; echo x >>/etc/passwd || echo kept"
		out := inside(t, b, script)
		if !strings.HasPrefix(out, want+" "+strconv.Itoa(blogUser)+"\n"+b.Write[1]+"\n1\n") ||
			!strings.HasSuffix(out, "kept\n") {
			t.Errorf("%s: %s", name, out)
		}
	}
	if after, err := os.ReadFile("/etc/passwd"); string(after) != string(before) {
		t.Errorf("the machine's own file has changed: %v", err)
	}
}

// Own follows no link out of the folder, and does not walk through a folder that the user owns.
func TestOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: chown needs root")
	}
	outside := rig.Tree(t, map[string]string{"passwd": "root"})
	dir := rig.Tree(t, map[string]string{"a/b/c": "", "d": ""})
	os.Symlink(outside, dir+"/link")
	os.Symlink(outside+"/passwd", dir+"/a/link")
	if err := Own(dir, blogUser); err != nil {
		t.Fatal(err)
	}
	owner := func(path string) int {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	for _, path := range []string{"", "/a", "/a/b", "/a/b/c", "/d", "/link", "/a/link"} {
		if owner(dir+path) != blogUser {
			t.Errorf("%s belongs to %d", path, owner(dir+path))
		}
	}
	if owner(outside) != 0 {
		t.Error("Own changed the target of a link")
	}
	if owner(outside+"/passwd") != 0 {
		t.Error("Own changed a file behind a link")
	}
	os.Chown(dir+"/d", 0, 0)
	if err := Own(dir, blogUser); err != nil || owner(dir+"/d") != 0 {
		t.Error("Own walked through a folder that the user owns")
	}
}

// What As makes belongs to the app, and it follows no link of the app's to files that the app may
// not read: the app gets to see what the server reads for it.
func TestAs(t *testing.T) {
	isolation := Probe(t.TempDir())
	if !isolation.Users {
		t.Skipf("SKIP: no user per app: %s", isolation.Missing)
	}
	root, b := place(t, isolation)
	dir, shop := b.Write[1], root+"/apps/shop/data"
	os.WriteFile(dir+"/x", []byte("x"), 0o644)
	os.Lchown(dir+"/x", blogUser, blogUser)
	os.Chmod(shop, 0o777)
	os.Chmod(shop+"/orders", 0o666)
	host := root + "/ssh/host_key"
	os.Chmod(host, 0o600)
	links := map[string]string{
		"key":     host,
		"orders":  shop + "/orders",
		"around":  "/proc/self/root" + shop + "/orders",
		"environ": "/proc/self/environ",
	}
	for name, to := range links {
		os.Symlink(to, dir+"/"+name)
	}
	err := b.As(func() error {
		if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
			t.Error(err)
		}
		if content, err := os.ReadFile(dir + "/x"); string(content) != "x" {
			t.Error(err)
		}
		for name := range links {
			if content, err := os.ReadFile(dir + "/" + name); err == nil {
				t.Errorf("As read through link %s: %.100q", name, content)
			}
			if err := os.WriteFile(dir+"/"+name, nil, 0o644); err == nil {
				t.Errorf("As wrote through link %s", name)
			}
		}
		for _, path := range []string{host, shop + "/orders", root + "/apps/blog/settings.json"} {
			if err := os.Remove(path); err == nil {
				t.Errorf("As removed %s", path)
			}
		}
		if err := os.WriteFile(root+"/new", nil, 0o644); err == nil {
			t.Error("As wrote outside of the folder")
		}
		return os.Link(dir+"/x", dir+"/a/y")
	})
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(dir + "/a/b")
	if info.Sys().(*syscall.Stat_t).Uid != blogUser {
		t.Error("the new file does not belong to the user")
	}
	if err := os.WriteFile(root+"/new", nil, 0o644); err != nil { // every other thread is as it was
		t.Error(err)
	}
}

// On a file system without owners, apps keep the server's user.
func TestProbeWithoutOwners(t *testing.T) {
	if !Probe(t.TempDir()).Users {
		t.Skip("SKIP: no user per app here anyway")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "proc", "proc", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIP: %s", out)
	}
	defer exec.Command("umount", dir).Run()
	if f := Probe(dir); f.Users || !strings.Contains(f.String(), "no user per app: ") {
		t.Errorf("Probe found %s, want no user per app", f)
	}
}
