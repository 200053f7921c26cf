package address

import (
	"os"
	"testing"

	"paas/volume"
)

func newBook(t *testing.T) *Book {
	t.Helper()
	vol := &volume.Volume{Root: t.TempDir()}
	if err := vol.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vol.Close() })
	return &Book{Volume: vol, Domain: "my.server", SSH: ":22", HTTP: ":8080", Hooks: ":8081"}
}

func TestAddressesForPeople(t *testing.T) {
	b := newBook(t)
	b.DefaultApp = "home"
	for _, check := range []struct{ is, want string }{
		{b.App(""), "http://my.server:8080"},
		{b.App("blog"), "http://blog.my.server:8080"},
		{b.App("home"), "http://my.server:8080"},
		{b.Git(), "my.server"},
		{b.Verb("logs", "blog"), "ssh paas@my.server logs blog"},
		{b.Webhook("blog"), ""}, // no sidecar runs
	} {
		if check.is != check.want {
			t.Errorf("%q, want %q", check.is, check.want)
		}
	}
	b.PublicSSHPort, b.PublicHTTPPort = "2222", "80"
	for _, check := range []struct{ is, want string }{
		{b.App("blog"), "http://blog.my.server"},
		{b.Git(), "my.server:2222"},
		{b.Verb("", ""), "ssh -p 2222 paas@my.server"},
	} {
		if check.is != check.want {
			t.Errorf("%q with public ports, want %q", check.is, check.want)
		}
	}
}

// Another process with other settings finds the address that a role published, as long as the role
// runs.
func TestPublished(t *testing.T) {
	server := newBook(t)
	other := &Book{Volume: server.Volume, Domain: "localhost", Hooks: ":1"}
	claim, err := server.Volume.Claim(volume.RoleSidecar)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Publish(volume.RoleSidecar, "0.0.0.0:9999"); err != nil {
		t.Fatal(err)
	}
	if is := other.Webhook("blog"); is != "http://my.server:9999/hooks/blog" {
		t.Error(is)
	}
	if is := other.Of(volume.RoleSidecar).Local(); is != "127.0.0.1:9999" {
		t.Error(is)
	}
	claim.Close()
	if is := other.Of(volume.RoleSidecar).Listen; is != ":1" {
		t.Errorf("%q of a server that does not run", is)
	}
	server.Forget(volume.RoleSidecar)
	if _, err := os.Stat(server.file(volume.RoleSidecar)); !os.IsNotExist(err) {
		t.Errorf("forgotten: %v", err)
	}
}

// People are sent to the front of another process, which has told the role app where it is.
func TestPublishedFront(t *testing.T) {
	b := newBook(t)
	claim, err := b.Volume.Claim(volume.RoleApp)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Close()
	if _, ok := (&Book{Volume: b.Volume}).Published(volume.RoleApp); ok {
		t.Error("there is an address before one was published")
	}
	front := &Book{Volume: b.Volume, Domain: "my.server", HTTP: ":80", HTTPS: ":443"}
	if err := front.Publish(volume.RoleFront, "127.0.0.1:80"); err != nil {
		t.Fatal(err)
	}
	if is := front.App("blog"); is != "http://blog.my.server" {
		t.Error(is)
	}
	if err := b.Publish(volume.RoleApp, "127.0.0.1:8080"); err != nil {
		t.Fatal(err)
	}
	if err := b.PublishFront(volume.RoleApp, front.Visitors()); err != nil {
		t.Fatal(err)
	}
	other := &Book{Volume: b.Volume, HTTP: ":8080"}
	if is := other.App("blog"); is != "http://blog.my.server" {
		t.Error(is)
	}
	if at := other.Of(volume.RoleApp); at.HTTPS != "443" || at.Local() != "127.0.0.1:8080" {
		t.Errorf("%+v", at)
	}
}
