package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/command"
	"paas/doctor"
	"paas/engine/local"
	"paas/receiver"
	"paas/volume"
)

// examination is one run of paas doctor.
type examination struct {
	*paas
	ctx    context.Context
	public bool // the domain is one that visitors elsewhere look up
}

// verdict is what one check has found; the zero verdict is that all is well.
type verdict struct {
	level           doctor.Level
	problem, remedy string
}

func fault(remedy, format string, args ...any) verdict {
	return verdict{doctor.Fault, fmt.Sprintf(format, args...), remedy}
}

func advice(remedy, format string, args ...any) verdict {
	return verdict{doctor.Advice, fmt.Sprintf(format, args...), remedy}
}

// failed is the verdict if a check itself does not succeed.
func failed(err error) verdict { return fault("", "cannot find out: %v", err) }

// checks are the checks of paas doctor, in their order.
var checks = []struct {
	name string
	look func(*examination) verdict
}{
	{"server", (*examination).roles},
	{"dns", (*examination).names},
	{"ports", (*examination).ports},
	{"clock", (*examination).clock},
	{"certificates", (*examination).certificates},
	{"disk", (*examination).disk},
	{"isolation", (*examination).isolation},
	{"landlock", (*examination).landlock},
	{"limits", (*examination).limits},
	{"listeners", (*examination).listeners},
	{"git", (*examination).git},
	{"hooks", (*examination).hooks},
	{"files", (*examination).files},
	{"backups", (*examination).backups},
}

// examine looks at everything, one check after the other, until ctx ends.
func (p *paas) examine(ctx context.Context) iter.Seq[doctor.Finding] {
	e := &examination{p, ctx, isPublic(p.config.Domain)}
	return func(yield func(doctor.Finding) bool) {
		for _, check := range checks {
			if ctx.Err() != nil {
				return
			}
			v := check.look(e)
			if v.level == "" {
				v.level = doctor.OK
			}
			if !yield(doctor.Finding{Check: check.name, Level: v.level, Problem: v.problem, Remedy: v.remedy}) {
				return
			}
		}
	}
}

// roles looks at the roles that run on this volume.
func (e *examination) roles() verdict {
	running := 0
	for _, role := range append(slices.Clone(allRoles), volume.RoleFront) {
		if !e.vol.Claimed(role) {
			continue
		}
		running++
		if err := e.healthy(e.ctx, role); err != nil {
			return fault("see its log: journalctl -u paas", "the role %s does not answer: %v", role, err)
		}
	}
	if running == 0 {
		return fault("start it: systemctl start paas, or paas serve", "the server does not run on %s", e.config.Root)
	}
	return verdict{}
}

// backups looks at the scheduled backups.
func (e *examination) backups() verdict {
	trouble, err := command.BackupTrouble(e.vol)
	switch {
	case err != nil:
		return failed(err)
	case trouble != "":
		return fault("paas backup:list shows those there are; paas backup --store tries at once", "%s", trouble)
	}
	if _, planned, err := command.BackupDue(e.vol); err == nil && !planned {
		return advice("paas backup:schedule @daily", "no backups are scheduled")
	}
	return verdict{}
}

// names looks up a name that only a wildcard entry in DNS can answer.
func (e *examination) names() verdict {
	if !e.public {
		return verdict{}
	}
	domain := e.config.Domain
	addrs, err := doctor.Names(e.ctx, e.resolver(), domain)
	if err != nil {
		return fault("make an entry *."+domain+" in its DNS with this machine's address", "names below %s have no address: %v", domain, err)
	}
	elsewhere, err := doctor.Elsewhere(addrs)
	if err != nil {
		return failed(err)
	}
	if len(elsewhere) > 0 {
		return advice("right if a router, load balancer or the provider leads from there to here; else correct the entry in DNS",
			"*.%s is at %s, which is no address of this machine", domain, elsewhere[0])
	}
	return verdict{}
}

// ports connects to the server in the way that others do.
func (e *examination) ports() verdict {
	if !e.public {
		return verdict{}
	}
	addrs, err := doctor.Names(e.ctx, e.resolver(), e.config.Domain)
	if err != nil {
		return advice("first correct the entry in DNS", "not looked at, because the names have no address")
	}
	elsewhere, err := doctor.Elsewhere(addrs)
	if err != nil {
		return failed(err)
	}
	visitors := e.addresses.Visitors()
	for _, port := range []string{visitors.Port, visitors.HTTPS, e.addresses.Of(volume.RoleGit).Port} {
		for _, addr := range addrs {
			if port == "" {
				continue
			}
			err := doctor.Reach(e.ctx, addr, port)
			if err != nil && slices.Contains(elsewhere, addr) {
				return advice("some networks do not lead back to themselves: try it from another one, and look at the firewalls",
					"port %s of %s cannot be reached from here: %v", port, addr, err)
			}
			if err != nil {
				return fault("start the server, or open the port in the firewalls of the machine and of its provider",
					"port %s of %s cannot be reached: %v", port, addr, err)
			}
		}
	}
	return verdict{}
}

// wrongClock is from when on certificates may be refused.
const wrongClock = time.Minute

// clock compares the clock with that of the certificate authority.
func (e *examination) clock() verdict {
	if !e.public || e.config.HTTPSAddr == "" || len(e.config.ACME.Authorities) == 0 {
		return verdict{}
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	if path := e.config.ACME.Roots; path != "" {
		text, err := os.ReadFile(path)
		roots := x509.NewCertPool()
		if err != nil || !roots.AppendCertsFromPEM(text) {
			return fault("PAAS_ACME_ROOTS names a file with certificates", "there is no certificate in %s", path)
		}
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	authority := e.config.ACME.Authorities[0]
	ahead, err := doctor.Clock(e.ctx, client, authority)
	if err != nil {
		return fault("let this machine connect to it; without it there are no new certificates", "the certificate authority does not answer: %v", err)
	}
	if ahead.Abs() > wrongClock {
		way := "ahead"
		if ahead < 0 {
			way = "behind"
		}
		return fault("set it, and keep it right: timedatectl set-ntp true",
			"the clock is %s %s of the certificate authority's", ahead.Abs().Round(time.Second), way)
	}
	return verdict{}
}

const (
	soonOwn = 21 * 24 * time.Hour // time to get another certificate from whoever sold it
	soon    = 3 * 24 * time.Hour  // ours are renewed long before
)

// certificates looks for those that have expired or will soon, those that people brought too.
func (e *examination) certificates() verdict {
	names, err := e.vol.Certificates()
	if err != nil {
		return failed(err)
	}
	for _, name := range names {
		c, ok := e.vol.Certificate(name)
		left := time.Until(c.NotAfter)
		switch {
		case !ok || c.NotAfter.IsZero() && c.Error == "":
		case c.Own && left < soonOwn:
			return fault("get another one, and: paas certs:add APP (paas certs names the app)",
				"your certificate for %s %s", name, ends(c.NotAfter))
		case c.NotAfter.IsZero():
			return fault("paas certs shows when it is tried again; paas domains:report APP says more",
				"%s has no certificate: %s", name, c.Error)
		case left < soon && left < c.NotAfter.Sub(c.NotBefore)/4:
			return fault("paas domains:report APP says why it was not renewed", "the certificate for %s %s: %s", name, ends(c.NotAfter), c.Error)
		}
	}
	return verdict{}
}

func ends(at time.Time) string {
	if left := time.Until(at); left > 0 {
		return fmt.Sprintf("expires in %d hours", int(left.Hours()))
	}
	return "expired at " + at.UTC().Format(time.RFC3339)
}

func (e *examination) disk() verdict {
	if err := e.diskSpace().Check(e.vol, 0, 0); err != nil {
		return fault(e.advice(volume.RemedyOf(err)), "%v", err)
	}
	return verdict{}
}

// isolation looks at what keeps the apps apart.
func (e *examination) isolation() verdict {
	now, err := e.isolated()
	switch {
	case err != nil:
		return failed(err)
	case now.Missing != "":
		return fault("run the server as root, or allow user namespaces: docs/isolation.md",
			"apps are not kept apart from each other and from the server: %s", now.Missing)
	case len(now.Open) > 0:
		return advice("run the server as root on Linux 6.12 or later, with nftables: docs/isolation.md",
			"open to apps: %s", strings.Join(now.Open, ", "))
	}
	return verdict{}
}

func (e *examination) landlock() verdict {
	if err := doctor.Landlock(); err != nil && e.config.Isolation != "off" {
		return advice("Linux 6.12 or later has it; the kernel's option lsm= must not leave landlock out", "%v", err)
	}
	return verdict{}
}

// limits looks whether control groups limit the apps.
func (e *examination) limits() verdict {
	now, err := e.isolated()
	if err != nil {
		return failed(err)
	}
	if now.By != "" && !strings.Contains(now.By, "limits by cgroup") {
		return advice("run the server as root, or under systemd with Delegate=yes: docs/processes.md#limits",
			"no control groups limit the apps, so one of them can slow down the others")
	}
	return verdict{}
}

// listeners looks for apps that can be reached past the router.
func (e *examination) listeners() verdict {
	first, last := local.Ports()
	var own []string // the server's
	for _, addr := range []string{e.config.HTTPAddr, e.config.HTTPSAddr, e.config.SSHAddr, e.config.SidecarAddr, e.config.GitHTTPAddr} {
		_, port, _ := net.SplitHostPort(addr)
		own = append(own, port)
	}
	var who string
	var port int
	for _, l := range doctor.Listeners(first, last) {
		if app, ok := e.appOf(l.UID); ok && !slices.Contains(own, strconv.Itoa(l.Port)) {
			who, port = app, l.Port
		}
	}
	if who == "" || exec.CommandContext(e.ctx, "nft", "list", "table", "inet", "paas_ports").Run() == nil {
		return verdict{}
	}
	return advice(fmt.Sprintf("let it listen on 127.0.0.1, or close ports %d-%d to other machines: docs/server.md#firewall", first, last),
		"%s listens on all addresses, so that others reach port %d past the router", who, port)
}

// appOf returns the app whose processes have that user. Without a user for each, it cannot tell which.
func (e *examination) appOf(uid int) (string, bool) {
	if uid < e.config.FirstUID || uid > e.config.LastUID {
		return "an app", uid != 0 && uid == os.Geteuid()
	}
	names, _ := e.vol.Apps()
	for _, name := range names {
		app, err := e.vol.App(name)
		if err != nil {
			continue
		}
		if has, err := app.UID(volume.UIDs{First: e.config.FirstUID, Last: e.config.LastUID}); err == nil && has == uid {
			return name, true
		}
	}
	return "", false
}

func (e *examination) git() verdict {
	if err := doctor.Git(e.ctx); err != nil {
		return fault("install it: apt-get install git", "%v", err)
	}
	return verdict{}
}

func (e *examination) hooks() verdict {
	if err := receiver.CheckHooks(e.config.Root); err != nil {
		return fault("mount the file system of "+e.config.Root+" without noexec, and start the server again", "%v", err)
	}
	return verdict{}
}

// files looks for files that others can read or change, and for some that the server cannot.
func (e *examination) files() verdict {
	root := e.config.Root
	if open, err := doctor.Open(root); err != nil || open {
		return fault("chmod 700 "+root, "other users may look into %s, where keys and config vars are", root)
	}
	paths := []string{}
	for _, pattern := range []string{"*", "ssh/*", "ssh/keys/*", "certs/*", "apps/*/*.json"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return failed(err)
		}
		paths = append(paths, found...)
	}
	foreign, err := doctor.Foreign(root, paths...)
	if err != nil {
		return failed(err)
	}
	if len(foreign) > 0 {
		return fault(fmt.Sprintf("chown --reference=%s %s; run paas as the server's user, not with sudo", root, strings.Join(foreign, " ")),
			"%s belongs to another user than the server", foreign[0])
	}
	file := e.config.File
	writable, err := doctor.Writable(file)
	if err != nil {
		return failed(err)
	}
	if writable {
		return fault("chmod go-w "+file+" "+filepath.Dir(file), "other users may change %s, and so what the server does", file)
	}
	return verdict{}
}
