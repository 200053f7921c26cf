package release

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/rig"
	"paas/rig/pebble"
)

// inside is set for the test that runs in a network of its own.
const inside = "PAAS_RELEASE_INSIDE"

// TestServer takes a fresh Debian through the life of a server, as docs/server.md tells it: install,
// setup, a push, restart, kill, upgrade, remove, purge.
func TestServer(t *testing.T) {
	if dir := os.Getenv(inside); dir != "" {
		serverLife(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("skipped with -short: it boots a machine")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIP: booting systemd needs root")
	}
	for _, program := range []string{"mmdebstrap", "unshare", "nsenter", "ip", "nft", "ssh", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIP: scripts/tools installs %s", program)
		}
	}
	if _, err := pebble.Installed(); err != nil {
		t.Skipf("SKIP: %v", err)
	}
	dir := release(t)
	again := exec.Command("unshare", "--net", "sh", "-c", `ip link set lo up && exec "$@"`, "sh",
		os.Args[0], "-test.run=^TestServer$", "-test.v", "-test.timeout=10m")
	again.Env = append(os.Environ(), inside+"="+dir)
	// A group of its own, with the machine in it: nothing of it outlives a test that was cut short.
	again.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := again.CombinedOutput()
	syscall.Kill(-again.Process.Pid, syscall.SIGKILL)
	t.Logf("%s", out)
	if strings.Contains(string(out), "--- SKIP: TestServer") {
		t.SkipNow()
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestServer") {
		t.Fatalf("in its own network: %v", err)
	}
}

func serverLife(t *testing.T, dir string) {
	home := t.TempDir()
	p := newPerson(t, home)
	m := boot(t)
	outside := newOutside(t)
	m.sh("mkdir -p -m 700 .ssh")
	before := m.files()
	p.copy(filepath.Join(home, "id.pub"), filepath.Join(m.root, "root/.ssh/authorized_keys"))
	p.copy(deb(t, dir), filepath.Join(m.root, "root/paas_0_amd64.deb"))

	install, setUp, doctor := docLines(t, "on the server")[0], docLines(t, "on the server")[1], docLines(t, "on the server")[2]

	t.Log("install: nothing listens yet, and the apps' ports are closed to others")
	m.wants(install, "sudo paas setup")
	m.wants("systemctl is-active paas-ports", "active")
	if out, _ := m.try("systemctl is-active paas; systemctl is-enabled paas"); out != "inactive\ndisabled\n" {
		t.Errorf("before setup paas is %q", out)
	}
	m.wants("paas config", "/etc/paas/paas.yaml", "/var/lib/paas")
	if !outside.reaches("12345") || outside.reaches("20001") || outside.reaches("31999") {
		t.Error("from outside, ports of apps are open or others are closed")
	}
	m.sh("systemctl stop paas-ports")
	if !outside.reaches("20001") {
		t.Error("without the rules the port is not open, so the test shows nothing")
	}
	m.sh("systemctl start paas-ports")

	t.Log("setup ends with a URL, and again it changes nothing")
	roots := "/root/roots.pem"
	ca, err := pebble.Start(filepath.Join(t.TempDir(), "."), "80", "443", 24*time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Stop()
	p.copy(ca.Roots, filepath.Join(m.root, roots))
	line := strings.ReplaceAll(setUp, "apps.example.com", "apps.test") +
		" --prove 1s --acme-ca " + ca.URL + " --acme-roots " + roots + " --dns-server " + ca.DNS
	m.wants(line+" </dev/null", "the server runs", "https://hello.apps.test")
	started := m.sh("systemctl show -P MainPID paas")
	m.wants("paas setup </dev/null", "stays as it is", "https://hello.apps.test")
	if now := m.sh("systemctl show -P MainPID paas"); now != started {
		t.Error("setup that changes nothing has restarted the server")
	}
	m.wants("stat -c '%a %U' /etc/paas/paas.yaml /var/lib/paas", "600 root", "root")

	rig.Eventually(t, "the doctor is content", func() bool {
		_, err := m.try(doctor)
		return err == nil
	})

	t.Log("a push from another machine makes a live app with HTTPS")
	root, err := ca.Root()
	if err != nil {
		t.Fatal(err)
	}
	p.visitor(root)
	out := p.follows(docLines(t, "on your machine"))
	rig.WantIn(t, "what docs/server.md tells", out, "hello v1 is live", "<h1>Hello</h1>")
	p.push("shop", map[string]string{"Procfile": "web: perl server.pl\n", "server.pl": app})
	p.sees("https://shop.apps.test/", "hello")
	rig.WantIn(t, "apps:info", p.ssh("apps:info shop"), "own user")
	if user := m.users("perl"); len(user) != 1 || user[0] < "70000" {
		t.Errorf("the app runs as %q", user)
	}

	t.Log("doctor finds nothing wrong; of its advice, only what is true of this machine")
	m.sh("paas backup:schedule @daily")
	for _, finding := range strings.Split(strings.TrimSpace(m.sh("paas doctor --format json")), "\n") {
		// The kernel of the test has its control groups elsewhere.
		if !strings.Contains(finding, `"level":"ok"`) && !strings.Contains(finding, `"check":"limits","level":"advice"`) {
			t.Errorf("doctor: %s", finding)
		}
	}
	if err := ca.SetDNS("set-default-ipv4", map[string]any{"ip": "203.0.113.7"}); err != nil {
		t.Fatal(err)
	}
	m.wants("paas doctor", "dns: *.apps.test is at 203.0.113.7, which is no address of this machine",
		"ports: port 80 of 203.0.113.7 cannot be reached from here")
	if err := ca.SetDNS("set-default-ipv4", map[string]any{"ip": "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}

	t.Log("an app that listens on all addresses is advice only without the rules that close its port")
	p.push("open", map[string]string{"Procfile": "web: perl server.pl\n", "server.pl": strings.Replace(app, "127.0.0.1", "0.0.0.0", 1)})
	m.wants("paas doctor --format json", `"check":"listeners","level":"ok"`)
	m.sh("systemctl stop paas-ports")
	m.wants("paas doctor", "listeners: open listens on all addresses")
	m.sh("systemctl start paas-ports")
	m.sh("paas apps:destroy open --force")

	// unnoticed fails the test if a visitor or an app notices what is done to the server, which is
	// another one afterwards.
	unnoticed := func(line string) {
		t.Helper()
		app, server := m.pids("perl"), m.server()
		stop := p.watch("https://shop.apps.test/", "hello")
		m.sh(line)
		rig.Eventually(t, "there is another server", func() bool { return m.server() != server })
		p.sees("https://shop.apps.test/", "hello")
		if failed := stop(); len(failed) > 0 {
			t.Errorf("%s: %d requests failed: %v", line, len(failed), failed[0])
		}
		if now := m.pids("perl"); now != app {
			t.Errorf("%s: the app was process %s, and is %s", line, app, now)
		}
	}
	t.Log("reload: neither visitors nor apps notice")
	unnoticed("systemctl reload paas")
	unnoticed("paas setup --keep-builds 7 </dev/null")
	m.wants("paas config", "keep-builds              7")

	t.Log("kill -9 of the server: the keeper starts it again, and the app runs on")
	app, server := m.pids("perl"), m.server()
	m.sh("kill -9 " + server)
	p.sees("https://shop.apps.test/", "hello")
	if now := m.pids("perl"); now != app || m.server() == server {
		t.Errorf("the app was process %s, and is %s", app, now)
	}

	t.Log("restart, and kill -9 of the keeper: everything starts again")
	m.sh("systemctl restart paas")
	p.sees("https://shop.apps.test/", "hello")
	pid := m.sh("systemctl show -P MainPID paas")
	m.sh("kill -9 " + pid)
	rig.Eventually(t, "there is another keeper", func() bool {
		now := m.sh("systemctl show -P MainPID paas")
		return now != pid && now != "0\n"
	})
	p.sees("https://shop.apps.test/", "hello")

	t.Log("a keeper that hangs is noticed and replaced")
	m.sh("mkdir -p /etc/systemd/system/paas.service.d && printf '[Service]\\nWatchdogSec=1\\nTimeoutAbortSec=1\\n' >/etc/systemd/system/paas.service.d/test.conf")
	m.sh("systemctl daemon-reload && systemctl restart paas")
	pid = m.sh("systemctl show -P MainPID paas")
	m.sh("kill -STOP " + pid)
	rig.Eventually(t, "there is another keeper", func() bool {
		now := m.sh("systemctl show -P MainPID paas")
		return now != pid && now != "0\n"
	})
	m.sh("rm -r /etc/systemd/system/paas.service.d && systemctl daemon-reload && systemctl restart paas")
	p.sees("https://shop.apps.test/", "hello")

	t.Log("upgrade: the new version serves; settings are as they were, and nobody notices")
	settings := m.sh("cat /etc/paas/paas.yaml")
	m.sh("dpkg-deb -R paas_0_amd64.deb new && sed -i 's/^Version: .*/&.next/' new/DEBIAN/control && dpkg-deb -Zgzip -z1 -b new next.deb && rm -r new")
	unnoticed("apt-get install -y ./next.deb")
	if now := m.sh("cat /etc/paas/paas.yaml"); now != settings {
		t.Errorf("the settings are now\n%s", now)
	}

	t.Log("a version that cannot serve: the old one goes on, and the package says so")
	m.sh("dpkg-deb -R next.deb bad && sed -i 's/^Version: .*/&.bad/' bad/DEBIAN/control && mv bad/usr/bin/paas bad/usr/bin/paas.real && " +
		"printf '#!/bin/sh\\n[ \"$1\" != serve ] || exit 3\\nexec /usr/bin/paas.real \"$@\"\\n' >bad/usr/bin/paas && chmod 755 bad/usr/bin/paas && " +
		"dpkg-deb -Zgzip -z1 -b bad bad.deb && rm -r bad")
	app, server = m.pids("perl"), m.server()
	m.wants("apt-get install -y ./bad.deb", "the server goes on as it was", "journalctl -u paas")
	p.sees("https://shop.apps.test/", "hello")
	if m.pids("perl") != app || m.server() != server {
		t.Error("after a failed upgrade the app or the server is another process")
	}
	m.wants("journalctl -u paas -n 20", "not reloaded, the server goes on as it was")

	t.Log("and back")
	unnoticed("apt-get install -y --allow-downgrades ./paas_0_amd64.deb")

	t.Log("the unit for a user's own server has no mistakes")
	m.sh("XDG_RUNTIME_DIR=/run systemd-analyze verify --man=no --user /usr/lib/systemd/user/paas.service")
	m.sh("systemd-analyze verify --man=no paas.service paas-ports.service")

	t.Log("remove keeps settings and apps; an installation finds them again")
	m.sh("apt-get remove -y paas")
	if left := append(m.users("paas"), m.users("perl")...); len(left) > 0 {
		t.Errorf("after remove there are processes of the users %q", left)
	}
	m.sh("test -d /var/lib/paas/apps/shop && test -f /etc/paas/paas.yaml")
	m.sh("apt-get install -y ./paas_0_amd64.deb")
	p.sees("https://shop.apps.test/", "hello")

	m.wants("debconf-show paas", "paas/remove-apps: false") // what a person is asked at a purge

	t.Log("purge removes what install added, and the apps only if somebody says so")
	m.wants("apt-get purge -y paas", "left in /var/lib/paas")
	m.sh("test -d /var/lib/paas/apps/shop")
	m.sh("apt-get install -y ./paas_0_amd64.deb")
	m.sh("echo 'paas paas/remove-apps boolean true' | debconf-set-selections && apt-get purge -y paas")
	m.sh("rm .ssh/authorized_keys paas_0_amd64.deb next.deb bad.deb roots.pem")
	if after := m.files(); after != before {
		t.Errorf("purge leaves:\n%s", difference(before, after))
	}
	if out := m.sh("nft list ruleset"); strings.Contains(out, "paas") {
		t.Errorf("purge leaves rules:\n%s", out)
	}
	m.wants("systemctl --no-legend --failed | wc -l", "0")
}

// docLines returns the lines of the first block in docs/server.md after a line with that text.
func docLines(t *testing.T, after string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "server.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), after)
	if !ok {
		t.Fatalf("docs/server.md does not say %q", after)
	}
	for line := range strings.Lines(rest) {
		line, isCode := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if isCode {
			lines = append(lines, line)
		} else if len(lines) > 0 {
			break
		}
	}
	return lines
}

// app is a program that needs only Perl, which git brings.
const app = `use IO::Socket::INET;
my $door = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT}, Listen => 50, ReuseAddr => 1) or die $!;
while (my $visitor = $door->accept) {
  while (<$visitor>) { last if /^\r?$/ }
  print $visitor "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
  close $visitor;
}
`

// person has another machine, with git, ssh and a browser.
type person struct {
	t      *testing.T
	home   string
	client *http.Client
	roots  string // a file with what the browser trusts
}

func newPerson(t *testing.T, home string) *person {
	p := &person{t: t, home: home}
	p.run("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", filepath.Join(home, "id"))
	return p
}

func (p *person) options() []string {
	return []string{"-i", filepath.Join(p.home, "id"), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=accept-new",
		"-o", "UserKnownHostsFile=" + filepath.Join(p.home, "known_hosts"), "-F", "none", "-p", "2222", "-o", "HostName=127.0.0.1"}
}

func (p *person) run(dir, name string, args ...string) string {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+p.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_SSH_COMMAND=ssh "+strings.Join(p.options(), " "),
		"GIT_AUTHOR_NAME=me", "GIT_AUTHOR_EMAIL=me@laptop", "GIT_COMMITTER_NAME=me", "GIT_COMMITTER_EMAIL=me@laptop")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func (p *person) ssh(verb string) string {
	p.t.Helper()
	return p.run("", "ssh", append(p.options(), "paas@127.0.0.1", verb)...)
}

func (p *person) copy(from, to string) {
	p.t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) push(name string, files map[string]string) {
	p.t.Helper()
	dir := filepath.Join(p.home, name)
	rig.Write(p.t, dir, files)
	p.run(dir, "git", "init", "-q", "-b", "main")
	p.run(dir, "git", "add", "-A")
	p.run(dir, "git", "commit", "-qm", "first")
	rig.WantIn(p.t, "push", p.run(dir, "git", "push", "ssh://paas@127.0.0.1:2222/"+name, "main"), name+" v1 is live")
}

// follows types the lines one after the other, until one fails, and returns what they print.
func (p *person) follows(lines []string) string {
	p.t.Helper()
	const finds = "set -e; curl() { for i in $(seq 100); do command curl -sS --cacert $ROOTS --connect-to ::127.0.0.1: \"$@\" && return; sleep 0.1; done; }\n"
	text := finds + "export ROOTS=" + p.roots + "\n" + strings.ReplaceAll(strings.Join(lines, "\n"), "apps.example.com", "apps.test")
	return p.run(p.home, "bash", "-c", text)
}

// visitor makes the browser trust an authority, and find every name on the machine.
func (p *person) visitor(root []byte) {
	p.roots = filepath.Join(p.home, "roots.pem")
	if err := os.WriteFile(p.roots, root, 0o600); err != nil {
		p.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	p.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
}

// sees waits until the page has the text.
func (p *person) sees(url, text string) {
	p.t.Helper()
	rig.Eventually(p.t, url+" answers "+text, func() bool {
		response, err := p.client.Get(url)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode == http.StatusOK && strings.Contains(string(body), text)
	})
}

// watch asks for the page 20 times a second until stop, which returns the errors of requests that
// failed.
func (p *person) watch(url, text string) (stop func() (failed []error)) {
	var failed []error
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			response, err := p.client.Get(url)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || !strings.Contains(string(body), text) {
				failed = append(failed, fmt.Errorf("%s: %q, %v", response.Status, body, err))
			}
		}
	}()
	return func() []error {
		close(end)
		<-ended
		return failed
	}
}

// outside is a network beyond the machine's.
type outside struct {
	t   *testing.T
	pid int
}

func newOutside(t *testing.T) outside {
	cmd := exec.Command("unshare", "--net", "--kill-child", "--fork", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity")
	ready, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ready.Read(make([]byte, 6))
	o := outside{t, cmd.Process.Pid}
	for _, line := range []string{
		fmt.Sprintf("ip link add inner type veth peer name outer netns /proc/%d/ns/net", o.child()),
		"ip addr add 198.51.100.1/24 dev inner", "ip link set inner up",
		o.prefix() + "ip addr add 198.51.100.2/24 dev outer", o.prefix() + "ip link set outer up",
	} {
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	for _, port := range []string{"12345", "20001", "31999"} { // as an app that listens on all addresses
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	return o
}

// child is the process in the outer network.
func (o outside) child() int {
	var pid int
	rig.Eventually(o.t, "the outer network is there", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", o.pid))
		n, _ := fmt.Sscan(string(text), &pid)
		return n == 1
	})
	return pid
}

func (o outside) prefix() string { return fmt.Sprintf("nsenter --net=/proc/%d/ns/net ", o.child()) }

// reaches reports whether a connection from outside to the port of the machine succeeds.
func (o outside) reaches(port string) bool {
	line := o.prefix() + "timeout 2 bash -c 'exec 3<>/dev/tcp/198.51.100.1/" + port + "'"
	return exec.Command("sh", "-c", line).Run() == nil
}

// difference returns the lines that only one of two lists has.
func difference(before, after string) string {
	var lines []string
	has := map[string]int{}
	for line := range strings.Lines(before) {
		has[line]--
	}
	for line := range strings.Lines(after) {
		has[line]++
	}
	for line, n := range has {
		if n != 0 {
			lines = append(lines, fmt.Sprintf("%+d %s", n, line))
		}
	}
	return strings.Join(lines, "")
}
