package sshd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig"
	"paas/rig/sshkey"
)

func TestSessions(t *testing.T) {
	w := serve(t, nil)
	alice, bob := w.dial(w.alice), w.dial(w.bob)
	for _, tt := range []struct {
		client  *gossh.Client
		command string
		want    result
	}{
		{alice, "apps:list --format json",
			result{"alice true [\"apps:list\" \"--format\" \"json\"]\n", "", 0}},
		{bob, "apps:list", result{"bob false [\"apps:list\"]\n", "", 0}},
		{bob, "git-receive-pack '/blog.git'", result{"bob git-receive-pack blog \n", "", 0}},
		{bob, "git-receive-pack '/../x'",
			result{"", " !     \"../x\" is not an app name: use a-z, 0-9 and -, start with a " +
				"letter, at most 63 characters\n", 1}},
	} {
		if got := w.run(tt.client, tt.command); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.command, got, tt.want)
		}
	}
}

// Only a public key authenticates: no password, no keyboard-interactive, no "none".
func TestPublicKeyOnly(t *testing.T) {
	w := serve(t, nil)
	answer := func(string, string, []string, []bool) ([]string, error) { return nil, nil }
	for name, methods := range map[string][]gossh.AuthMethod{
		"none":        nil,
		"password":    {gossh.Password("paas")},
		"interactive": {gossh.KeyboardInteractive(answer)},
		"unknown key": {gossh.PublicKeys(sshkey.New(t))},
	} {
		client, err := gossh.Dial("tcp", w.addr(), config(methods...))
		if err == nil {
			client.Close()
			t.Errorf("%s: got in", name)
			continue
		}
		if strings.Contains(err.Error(), "[none password") ||
			strings.Contains(err.Error(), "keyboard-interactive]") {
			t.Errorf("%s was tried: %v", name, err)
		}
	}
}

// twoFaced is a public key that differs between the question whether it may authenticate and the
// signed request (RFC 4252, 7).
type twoFaced struct {
	gossh.PublicKey // used for signing
	offer           gossh.PublicKey
	asked           int
}

func (k *twoFaced) Marshal() []byte {
	// The client marshals it for the question, to compare the reply, and then to sign.
	if k.asked++; k.asked <= 2 {
		return k.offer.Marshal()
	}
	return k.PublicKey.Marshal()
}

type twoFacedSigner struct {
	gossh.Signer
	public *twoFaced
}

func (s twoFacedSigner) PublicKey() gossh.PublicKey { return s.public }

// A client that offers alice's public key but signs with eve's is eve. One whose own key is unknown
// is refused.
func TestOfferedKeyIsNotIdentity(t *testing.T) {
	w := serve(t, nil)
	eve, stranger := sshkey.New(t), sshkey.New(t)
	w.keys.add("eve", eve.PublicKey())
	face := &twoFaced{PublicKey: eve.PublicKey(), offer: w.alice.PublicKey()}
	client := w.dial(twoFacedSigner{eve, face})
	if face.asked < 3 {
		t.Fatal("the offer was not accepted as an offer; the test proves nothing")
	}
	if got := w.run(client, "whoami"); got.stdout != "eve false [\"whoami\"]\n" {
		t.Errorf("whoami: %+v", got)
	}

	for name, signer := range map[string]gossh.Signer{
		"offered alice, signed with a key of nobody": twoFacedSigner{stranger,
			&twoFaced{PublicKey: stranger.PublicKey(), offer: w.alice.PublicKey()}},
		"claimed alice, signed with another key": twoFacedSigner{stranger,
			&twoFaced{PublicKey: w.alice.PublicKey(), offer: w.alice.PublicKey()}},
	} {
		if client, err := gossh.Dial("tcp", w.addr(),
			config(gossh.PublicKeys(signer))); err == nil {
			client.Close()
			t.Errorf("%s: got in", name)
		}
	}
}

// A certificate is not the key inside it, even if that key is known.
func TestCertificateIsNotTheKey(t *testing.T) {
	w := serve(t, nil)
	cert := &gossh.Certificate{Key: w.alice.PublicKey(), CertType: gossh.UserCert,
		ValidPrincipals: []string{"paas"}, ValidBefore: gossh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, sshkey.New(t)); err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewCertSigner(cert, w.alice)
	if err != nil {
		t.Fatal(err)
	}
	if client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(signer))); err == nil {
		client.Close()
		t.Error("authenticated")
	}
}

// A key that is removed while its connection is open starts no more sessions. A key that is added
// works at once.
func TestRemovedKey(t *testing.T) {
	w := serve(t, nil)
	client := w.dial(w.bob)
	if got := w.run(client, "whoami"); got.status != 0 {
		t.Fatalf("before: %+v", got)
	}
	w.keys.remove("bob")
	if got := w.run(client, "git-receive-pack 'blog'"); got.status != 1 || got.stdout != "" ||
		!strings.Contains(got.stderr, "was removed") {
		t.Errorf("after: %+v", got)
	}
	carol := sshkey.New(t)
	w.keys.add("carol", carol.PublicKey())
	if got := w.run(w.dial(carol), "whoami"); got.stdout != "carol false [\"whoami\"]\n" {
		t.Errorf("carol: %+v", got)
	}
}

// An agent may offer nine keys before the right one; the eleventh is not tried.
func TestMaxAuthTries(t *testing.T) {
	w := serve(t, nil)
	var keys []gossh.Signer
	for range maxAuthTries {
		keys = append(keys, sshkey.New(t))
	}
	w.dial(append(keys[:maxAuthTries-1:maxAuthTries-1], w.alice)...)
	client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(append(keys, w.alice)...)))
	if err == nil {
		client.Close()
		t.Error("the eleventh key was tried")
	}
}

// Clients are told the fingerprint of an unknown key and how to add it, once per key and for three
// keys at most.
func TestUnknownKeyBanner(t *testing.T) {
	w := serve(t, nil)
	keys := []gossh.Signer{sshkey.New(t), sshkey.New(t), sshkey.New(t), sshkey.New(t), sshkey.New(t)}
	keys[2] = keys[0]
	var banners []string
	c := config(gossh.PublicKeys(keys...))
	c.BannerCallback = func(text string) error {
		banners = append(banners, text)
		return nil
	}
	if _, err := gossh.Dial("tcp", w.addr(), c); err == nil {
		t.Fatal("authenticated")
	}
	if len(banners) != maxNotices {
		t.Fatalf("%d notices, want %d:\n%s", len(banners), maxNotices, banners)
	}
	for i, key := range []gossh.Signer{keys[0], keys[1], keys[3]} {
		want := " !     key " + gossh.FingerprintSHA256(key.PublicKey()) + " is unknown\n" +
			"       add it on the server:\n" +
			"         echo '" +
			strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key.PublicKey()))) +
			"' | paas keys:add NAME\n"
		if banners[i] != want {
			t.Errorf("notice %d: %q, want %q", i, banners[i], want)
		}
	}
}

// Somebody who uses a second key is told about the first one once, not at each push.
func TestNoBannerForSecondKey(t *testing.T) {
	w := serve(t, nil)
	second := sshkey.New(t)
	count := 0
	c := config(gossh.PublicKeys(second, w.alice))
	c.BannerCallback = func(string) error { count++; return nil }
	for range 3 {
		client, err := gossh.Dial("tcp", w.addr(), c)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	if count != 1 {
		t.Errorf("%d notices", count)
	}
}

// OpenSSH and git print the banner for an unknown key.
func TestUnknownKeyOpenSSH(t *testing.T) {
	w := serve(t, nil)
	file, public := identityFile(t)
	notice := w.unknownKeyBanner(public, gossh.FingerprintSHA256(public))
	got := w.openssh([]string{file}, "help")
	if got.status != 255 || !strings.HasPrefix(got.stderr, notice) ||
		!strings.HasSuffix(got.stderr, "Permission denied (publickey).\n") {
		t.Errorf("ssh: %+v, want first %q", got, notice)
	}
	got = w.command("git", "-c", "core.sshCommand=ssh "+strings.Join(w.sshOptions([]string{file}),
		" "),
		"ls-remote", "ssh://paas@"+w.addr()+"/blog")
	if got.status != 128 || !strings.HasPrefix(got.stderr, notice) {
		t.Errorf("git: %+v, want first %q", got, notice)
	}
}

// A client that does not prove a key in time is disconnected, at whatever step it stops.
func TestHandshakeTimeout(t *testing.T) {
	w := serve(t, func(s *Server) { s.HandshakeTimeout = 50 * time.Millisecond })
	silent, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed(t, silent, patience)

	slow, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := fmt.Fprint(slow, "SSH-2.0-slow\r\n"); err != nil {
		t.Fatal(err)
	}
	closed(t, slow, patience)

	never := make(chan struct{})
	defer close(never)
	raw, err := net.Dial("tcp", w.addr())
	if err != nil {
		t.Fatal(err)
	}
	c := config(gossh.PublicKeysCallback(func() ([]gossh.Signer, error) {
		<-never
		return nil, errors.New("the test is over")
	}))
	go func() { _, _, _, _ = gossh.NewClientConn(raw, "", c) }()
	rig.Eventually(t, "the connection is forgotten", func() bool {
		return w.conns.empty()
	})

	// The holder of a known key gets time to type its passphrase.
	typist := &slowSigner{Signer: w.alice, release: make(chan struct{})}
	time.AfterFunc(200*time.Millisecond, func() { close(typist.release) })
	client, err := gossh.Dial("tcp", w.addr(), config(gossh.PublicKeys(typist)))
	if err != nil {
		t.Fatalf("a slow typist: %v", err)
	}
	client.Close()
}

// slowSigner signs once it is released.
type slowSigner struct {
	gossh.Signer
	release chan struct{}
}

func (r *slowSigner) Sign(random io.Reader, data []byte) (*gossh.Signature, error) {
	<-r.release
	return r.Signer.Sign(random, data)
}
