package sshd

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

const (
	maxAuthTries = 10 // agents offer all their keys
	maxNotices   = 3  // unknown keys per connection that get a banner
)

// clientConnKey is the key of the *clientConn in the library's context of a connection. provenKey
// is the key of the public key in the permissions of an authenticated connection.
type (
	clientConnKey struct{}
	provenKey     struct{}
)

// version follows SSH-2.0- in the server's identification (RFC 4253, 4.2). OpenSSH's client reports
// that its output was closed (eow@openssh.com) only if the version begins with OpenSSH. It then
// also announces that it opens no more sessions, which has no effect here. Without a number after
// the name no client applies a workaround for an old release.
const version = "OpenSSH_compatible paas"

// newSSHServer configures the library's server.
func (s *Server) newSSHServer(host ssh.Signer) *ssh.Server {
	return &ssh.Server{
		Version:     version,
		HostSigners: []ssh.Signer{host},
		Handler:     s.session,
		ConnCallback: func(ctx ssh.Context, conn net.Conn) net.Conn {
			ctx.SetValue(clientConnKey{}, conn)
			return conn
		},
		// Without a handler the library lets everybody in, whatever the configuration says.
		PublicKeyHandler:     s.offerKey,
		ServerConfigCallback: s.serverConfig,
		// Must not be nil, or the library uses its own. Other channel types and requests are
		// refused, which is a valid answer to clients' keepalives.
		ChannelHandlers:   map[string]ssh.ChannelHandler{"session": s.channel},
		RequestHandlers:   map[string]ssh.RequestHandler{},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
	}
}

// serverConfig returns a new configuration for each connection, because the library writes to it.
func (s *Server) serverConfig(ctx ssh.Context) *gossh.ServerConfig {
	c := ctx.Value(clientConnKey{}).(*clientConn)
	return &gossh.ServerConfig{
		MaxAuthTries:        maxAuthTries,
		PreAuthConnCallback: func(door gossh.ServerPreAuthConn) { c.preAuth = door },
		// The only callback after the signature was checked (RFC 4252, 7). Its result belongs to
		// this key, while the permissions in ctx are shared by all keys that were tried.
		VerifiedPublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey,
			_ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			s.unneeded.add(c.unknownKeys)
			if err := s.authenticate(c, key); err != nil {
				return nil, err
			}
			return &gossh.Permissions{ExtraData: map[any]any{provenKey{}: key}}, nil
		},
	}
}

// authenticate lets in the holder of the proven key. If that fails, the client is told why.
func (s *Server) authenticate(c *clientConn, proven gossh.PublicKey) error {
	who, err := s.Keys.Lookup(proven, c.RemoteAddr())
	if err != nil {
		return err
	}
	err = s.conns.authenticate(c, who, s.QueueTimeout)
	if err == nil {
		return nil
	}
	s.logRefused(err, "key", who.Name, "addr", c.RemoteAddr())
	var text strings.Builder
	printError(&text, "your key has "+err.Error()+"; try again in a moment")
	return &gossh.BannerError{Err: err, Message: text.String()}
}

// offerKey reports whether a key may authenticate. Offering a key proves nothing: it is public.
func (s *Server) offerKey(ctx ssh.Context, key ssh.PublicKey) bool {
	c := ctx.Value(clientConnKey{}).(*clientConn)
	_, err := s.Keys.Lookup(key, c.RemoteAddr())
	if err == nil {
		c.prolong()
		return true
	}
	if _, certificate := key.(*gossh.Certificate); certificate {
		return false // OpenSSH offers the key inside it next
	}
	fingerprint := gossh.FingerprintSHA256(key)
	if len(c.unknownKeys) >= maxNotices || slices.Contains(c.unknownKeys, fingerprint) {
		return false
	}
	c.unknownKeys = append(c.unknownKeys, fingerprint)
	if s.unneeded.has(fingerprint) {
		return false
	}
	s.Log.Info("key refused", "fingerprint", fingerprint, "addr", c.RemoteAddr(), "why", err)
	// A banner (RFC 4252, 5.4) is the only message before authentication; OpenSSH prints it. It is
	// sent now because the client's last key cannot be recognised. Errors can be ignored: the
	// library notices that the client is gone.
	banner := s.unknownKeyBanner(key, fingerprint)
	if !errors.Is(err, ErrUnknownKey) {
		banner = fmt.Sprintf(" !     %s (%s)\n", err, fingerprint)
	}
	_ = c.preAuth.SendAuthBanner(banner)
	return false
}

// unknownKeyBanner tells the holder of an unknown key how to add it.
func (s *Server) unknownKeyBanner(key gossh.PublicKey, fingerprint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, " !     key %s is unknown\n", fingerprint)
	if s.AddKeyHint != nil {
		fmt.Fprintf(&b, "       add it on the server:\n         %s\n",
			s.AddKeyHint(fingerprint, strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))))
	}
	return b.String()
}

// identify looks up the key of an authenticated connection again, because it may have been removed.
func (s *Server) identify(conn *gossh.ServerConn) (Identity, error) {
	if conn.Permissions == nil {
		return Identity{}, ErrUnknownKey
	}
	proven, ok := conn.Permissions.ExtraData[provenKey{}].(gossh.PublicKey)
	if !ok {
		return Identity{}, ErrUnknownKey
	}
	return s.Keys.Lookup(proven, conn.RemoteAddr())
}

// unneededKeys remembers unknown keys whose holders then authenticated with another key. Clients
// offer their keys one by one in their own order, so people with two keys would otherwise be told
// at each push that the first is unknown.
type unneededKeys struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

const maxUnneededKeys = 1000

func (k *unneededKeys) add(fingerprints []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil || len(k.seen) > maxUnneededKeys {
		k.seen = map[string]struct{}{} // at worst a banner is printed again
	}
	for _, f := range fingerprints {
		k.seen[f] = struct{}{}
	}
}

func (k *unneededKeys) has(fingerprint string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.seen[fingerprint]
	return ok
}
