package address

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/volume"
)

// Book knows the addresses of the server's roles. A server may have got them from flags or from an
// environment that other shells do not have. So each role publishes its address in run/<role>.json.
// A Book is safe for concurrent use.
type Book struct {
	Volume     *volume.Volume
	Domain     string // the host, for people
	DefaultApp string // the app that answers at Domain itself; empty: none

	// Addresses to listen on, from the settings.
	SSH, HTTP, HTTPS, Hooks string

	// Ports that people use; empty: those of SSH, HTTP and HTTPS.
	PublicSSHPort, PublicHTTPPort, PublicHTTPSPort string

	GitOverHTTP bool // the role app of this process leads to it

	mu  sync.Mutex
	own map[string]Address // the roles of this process
}

// Of returns the address that role published or, if it is not running, the address in the settings.
func (b *Book) Of(role string) Address {
	if a, ok := b.Published(role); ok {
		return a
	}
	return b.at(role, map[string]string{volume.RoleGit: b.SSH, volume.RoleApp: b.HTTP,
		volume.RoleFront: b.HTTP, volume.RoleSidecar: b.Hooks}[role])
}

// Published returns the address that role published; ok is false if it is not running.
func (b *Book) Published(role string) (a Address, ok bool) {
	b.mu.Lock()
	a, ok = b.own[role]
	b.mu.Unlock()
	// Ignore the file of a dead server. A running one has removed the old file before it listened.
	if ok || !b.Volume.Claimed(role) {
		return a, ok
	}
	text, err := os.ReadFile(b.file(role))
	return a, err == nil && json.Unmarshal(text, &a) == nil
}

// at returns the address of role if it listens on listen.
func (b *Book) at(role, listen string) Address {
	a := Address{Listen: listen, Host: b.Domain}
	switch role {
	case volume.RoleGit:
		a.Port = b.PublicSSHPort
	case volume.RoleApp, volume.RoleFront:
		a.Port, a.First, a.HTTPS = b.PublicHTTPPort, b.DefaultApp, b.SecurePort(nil)
		a.Git = b.GitOverHTTP
	}
	if a.Port == "" {
		_, a.Port, _ = net.SplitHostPort(listen)
	}
	return a
}

// Publish tells other processes that role, which this process runs, listens on listen. listen is
// empty if the role has no socket. After an error other processes use their own settings.
func (b *Book) Publish(role, listen string) error { return b.publish(role, b.at(role, listen)) }

// PublishFront tells other processes that people reach role, which was published, where a front says.
func (b *Book) PublishFront(role string, front Address) error {
	a := b.Of(role)
	a.Port, a.HTTPS, a.Git = front.Port, front.HTTPS, a.Git || front.Git
	return b.publish(role, a)
}

func (b *Book) publish(role string, a Address) error {
	b.mu.Lock()
	if b.own == nil {
		b.own = map[string]Address{}
	}
	b.own[role] = a
	b.mu.Unlock()
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return b.Volume.WriteFile(b.file(role), append(text, '\n'), 0o600)
}

// Forget removes the address that an earlier server published for role.
func (b *Book) Forget(role string) { os.Remove(b.file(role)) }

func (b *Book) file(role string) string { return filepath.Join(b.Volume.Root, "run", role+".json") }

// SecurePort returns the port in https URLs; empty: there is no HTTPS. listen is where the router
// listens for it; nil: where the settings say.
func (b *Book) SecurePort(listen net.Addr) string {
	port := b.PublicHTTPSPort
	switch {
	case b.HTTPS == "":
		return ""
	case port != "":
		return port
	}
	if listen != nil {
		_, port, _ = net.SplitHostPort(listen.String())
		b.PublicHTTPSPort = port // the settings may leave the choice to the kernel
		return port
	}
	_, port, _ = net.SplitHostPort(b.HTTPS)
	return port
}

// App returns an app's URL for people or, if name is empty, the router's: one with https if there is
// a valid certificate for its host.
func (b *Book) App(name string) string {
	a := b.Visitors()
	host := a.Host
	if name != "" && name != a.First {
		host = name + "." + host
	}
	if a.HTTPS != "" {
		if cert, _ := b.Volume.Certificate(host); cert.Valid(time.Now()) {
			return "https://" + withPort(host, a.HTTPS, "443")
		}
	}
	return "http://" + a.withPort(host, "80")
}

// GitHTTPS returns the URL at which git reaches an app with a token; empty: there is none.
func (b *Book) GitHTTPS(app string) string {
	server := b.App(volume.Own)
	if !b.Of(volume.RoleApp).Git || !strings.HasPrefix(server, "https://") {
		return ""
	}
	return server + "/" + app
}

// Visitors returns the address of the router that visitors meet.
func (b *Book) Visitors() Address {
	b.mu.Lock()
	front, ok := b.own[volume.RoleFront]
	b.mu.Unlock()
	if ok {
		return front
	}
	return b.Of(volume.RoleApp) // a front in another process has told the app role its port
}

// Git returns the host that git connects to, with the port if it is needed: "my.server:2222".
func (b *Book) Git() string {
	a := b.Of(volume.RoleGit)
	return a.withPort(a.Host, "22")
}

// Webhook returns the URL of an app's webhook, or "" if no sidecar accepts webhooks.
func (b *Book) Webhook(app string) string {
	a := b.Of(volume.RoleSidecar)
	if a.Listen == "" || !b.Volume.Claimed(volume.RoleSidecar) {
		return ""
	}
	return "http://" + a.withPort(a.Host, "80") + "/hooks/" + app
}

// Verb returns the command line for a verb on another machine: "ssh -p 2222 paas@my.server logs
// blog".
func (b *Book) Verb(verb, args string) string {
	a := b.Of(volume.RoleGit)
	port := ""
	if a.Port != "22" {
		port = "-p " + a.Port + " "
	}
	return strings.TrimSpace(fmt.Sprintf("ssh %spaas@%s %s %s", port, a.Host, verb, args))
}
