package sshd

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

const (
	maxAuthTries = 10 // agents offer all the keys they have
	maxNotices   = 3  // unknown keys of one connection that get an answer
)

// guestKey finds the *guest in the library's context of a connection, provenKey the public key in
// the permissions of an authenticated one.
type (
	guestKey  struct{}
	provenKey struct{}
)

// version is what follows SSH-2.0- in what the server says first (RFC 4253, 4.2). OpenSSH's client
// reports that nobody reads its output (eow@openssh.com) only to servers whose version begins with
// OpenSSH. It then also announces that it opens no further sessions, which changes nothing here. With
// no number behind the name no client takes this for a release that needs a workaround.
const version = "OpenSSH_compatible paas"

// library is the SSH server as gliderlabs/ssh needs it to be set up.
func (s *Server) library(host ssh.Signer) *ssh.Server {
	return &ssh.Server{
		Version:     version,
		HostSigners: []ssh.Signer{host},
		Handler:     s.session,
		ConnCallback: func(ctx ssh.Context, conn net.Conn) net.Conn {
			ctx.SetValue(guestKey{}, conn)
			return conn
		},
		// With no handler at all the library lets everybody in, whatever the configuration says.
		PublicKeyHandler:     s.offered,
		ServerConfigCallback: s.config,
		// Maps that are set, else the library fills in its own. A channel or a request of a type
		// that is not in them is refused, and that is an answer: keepalives of clients are happy.
		ChannelHandlers:   map[string]ssh.ChannelHandler{"session": s.channel},
		RequestHandlers:   map[string]ssh.RequestHandler{},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
	}
}

// config is new for each connection: the library writes into it.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	g := ctx.Value(guestKey{}).(*guest)
	return &gossh.ServerConfig{
		MaxAuthTries:        maxAuthTries,
		PreAuthConnCallback: func(door gossh.ServerPreAuthConn) { g.door = door },
		// The only callback that runs after the signature was checked (RFC 4252, 7). What it
		// returns belongs to this key; the permissions in ctx are shared by all the keys tried.
		VerifiedPublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			s.spares.add(g.refused)
			if err := s.admit(g, key); err != nil {
				return nil, err
			}
			return &gossh.Permissions{ExtraData: map[any]any{provenKey{}: key}}, nil
		},
	}
}

// admit makes a guest of the stranger who proved key. The client is told why it has to leave.
func (s *Server) admit(g *guest, proven gossh.PublicKey) error {
	who, ok := s.Keys.Lookup(proven)
	if !ok {
		return errors.New("the key was removed")
	}
	err := s.guests.known(g, who, s.queue())
	if err == nil {
		return nil
	}
	s.refused(err, "key", who.Name, "addr", g.RemoteAddr())
	var text strings.Builder
	complain(&text, "your key has "+err.Error()+"; try again in a moment")
	return &gossh.BannerError{Err: err, Message: text.String()}
}

// offered says whether a key may be used to enter. That a client offers a key proves nothing:
// public keys are public.
func (s *Server) offered(ctx ssh.Context, key ssh.PublicKey) bool {
	g := ctx.Value(guestKey{}).(*guest)
	if _, ok := s.Keys.Lookup(key); ok {
		g.wait()
		return true
	}
	if _, certificate := key.(*gossh.Certificate); certificate {
		return false // OpenSSH offers the key inside it next
	}
	fingerprint := gossh.FingerprintSHA256(key)
	if len(g.refused) >= maxNotices {
		return false
	}
	for _, f := range g.refused {
		if f == fingerprint {
			return false
		}
	}
	g.refused = append(g.refused, fingerprint)
	if s.spares.has(fingerprint) {
		return false
	}
	s.log().Info("unknown key", "fingerprint", fingerprint, "addr", g.RemoteAddr())
	// A banner (RFC 4252, 5.4) is all that a client can be told before it is in; OpenSSH prints it.
	// It goes now, since nothing tells which key is the client's last. A client that cannot be
	// written to is gone, and the library finds that out by itself.
	_ = g.door.SendAuthBanner(s.notice(key, fingerprint))
	return false
}

// notice tells a person whose key is unknown how to change that.
func (s *Server) notice(key gossh.PublicKey, fingerprint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, " !     key %s is not known here\n", fingerprint)
	if s.AddKeyHint != nil {
		fmt.Fprintf(&b, "       add it on the server:\n         %s\n", s.AddKeyHint(fingerprint, strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))))
	}
	return b.String()
}

// identity is who holds the key that the connection proved, now: a key that was removed since is
// nobody's.
func (s *Server) identity(conn *gossh.ServerConn) (Identity, bool) {
	if conn.Permissions == nil {
		return Identity{}, false
	}
	proven, ok := conn.Permissions.ExtraData[provenKey{}].(gossh.PublicKey)
	if !ok {
		return Identity{}, false
	}
	return s.Keys.Lookup(proven)
}

// spares remembers unknown keys of people who then came in with another one. Clients offer their
// keys one by one, in an order of their own: without this, whoever has two would read at each push
// that the first is not known.
type spares struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

const maxSpares = 1000

func (sp *spares) add(fingerprints []string) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.seen == nil || len(sp.seen) > maxSpares {
		sp.seen = map[string]struct{}{} // at worst a notice is printed once more
	}
	for _, f := range fingerprints {
		sp.seen[f] = struct{}{}
	}
}

func (sp *spares) has(fingerprint string) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	_, ok := sp.seen[fingerprint]
	return ok
}
