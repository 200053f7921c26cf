package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"paas/certs"
	"paas/command"
	"paas/router"
	"paas/volume"
)

// certsSocket is the socket where the role that has the certificates takes those that people bring.
// It is in the folder that the roles share in compose, so that no key goes through what runs apps.
const certsSocket = "link/certs"

// keepersSocket is the socket where the role git takes certificates for fronts on other machines,
// which connect to it. It is in that role's own folder.
const keepersSocket = "ssh/certs"

// listenHTTPS opens the front door's second door and reads the certificates, if the settings ask
// for HTTPS.
func (s *server) listenHTTPS(door *visitorsDoor) error {
	c := s.config
	if !s.parent.Takeover {
		if err := s.vol.ForgetCertificates(); err != nil {
			return err
		}
	}
	if c.HTTPSAddr == "" {
		return nil
	}
	k := &certs.Keeper{
		Dir: filepath.Join(c.Root, "certs"), Authorities: c.ACME.Authorities, Email: c.ACME.Email,
		DNS: c.ACME.DNSExec, Wildcards: []string{c.Domain}, Resolver: s.resolver(),
		Owner: door.owner, Report: s.certified, Log: s.log.With("role", "certs"),
	}
	if c.ACME.DNSExec != "" {
		if _, err := exec.LookPath(c.ACME.DNSExec); err != nil {
			return fmt.Errorf("PAAS_DNS_EXEC: %w", err)
		}
	}
	if c.ACME.KeysFile != "" {
		text, err := os.ReadFile(c.ACME.KeysFile)
		if err == nil {
			k.Bindings, err = certs.ParseBindings(string(text))
		}
		if err != nil {
			return fmt.Errorf("PAAS_ACME_KEYS_FILE: %w", err)
		}
	}
	if c.ACME.Roots != "" {
		text, err := os.ReadFile(c.ACME.Roots)
		if err != nil {
			return fmt.Errorf("PAAS_ACME_ROOTS: %w", err)
		}
		if k.Roots = x509.NewCertPool(); !k.Roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("PAAS_ACME_ROOTS: there is no certificate in %s", c.ACME.Roots)
		}
	}
	if err := k.Open(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	listener, err := s.listenVisitors("PAAS_HTTPS_ADDR", c.HTTPSAddr)
	if err != nil {
		return err
	}
	s.certs, door.certs = k, k
	s.front.HTTPS = &router.HTTPS{
		Listener: listener, TLS: k.TLSConfig(), Has: k.Has, Challenge: k.Challenge,
		Port: s.addresses.SecurePort(listener.Addr()),
	}
	s.begin(func() (err error) {
		s.certsDoor, err = s.vol.ListenKeyed(certsSocket)
		return err
	})
	return nil
}

// runCerts works on the certificates until ctx ends.
func (s *server) runCerts(ctx context.Context) error {
	if s.runtime != nil { // else the one who is followed says which apps are gone
		s.certs.KeepOwn(s.hasIdentity)
	}
	defer context.AfterFunc(ctx, func() { s.certsDoor.Close() })()
	go s.certs.Serve(s.certsDoor)
	return s.certs.Run(ctx)
}

// certifyOwn asks for the certificate of git over HTTPS.
func (s *server) certifyOwn() {
	if s.certs != nil && isPublic(s.config.Domain) {
		s.certs.Want(volume.Own + "." + s.config.Domain)
	}
}

// hasIdentity reports whether there is an app of that identity. If that cannot be told, there is.
func (s *server) hasIdentity(id string) bool {
	names, err := s.vol.Apps()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool {
		app, err := s.vol.App(name)
		if errors.Is(err, volume.ErrNoApp) {
			return false
		}
		is, err := app.Identity()
		return err != nil || is == id
	})
}

// certified publishes the state of a name's certificate for commands, and tells those that wait.
func (s *server) certified(name string, state certs.Status) {
	if s.follower != nil {
		s.follower.certified(name, state)
		return
	}
	s.expiry.note(name, volume.Certificate(state))
	if err := s.vol.SetCertificate(name, volume.Certificate(state)); err != nil {
		s.log.Error("cannot tell commands the state of a certificate", "host", name, "err", err)
	}
	if owner, ok := s.front.Owner(name); ok {
		if app, err := s.vol.App(owner); err == nil {
			app.Ring()
		}
	}
}

// resolver returns the resolver that the settings name.
func (p *paas) resolver() *net.Resolver {
	if p.config.DNSServer == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, p.config.DNSServer)
	}}
}

// ownCertificates hands certificates that people bring to the role that serves them.
type ownCertificates struct{ vol *volume.Volume }

func (o ownCertificates) Set(ctx context.Context, owner string, pem []byte) error {
	_, err := o.ask(ctx, certs.Request{Owner: owner, PEM: string(pem)})
	return err
}

func (o ownCertificates) Remove(ctx context.Context, owner string) (removed bool, err error) {
	return o.ask(ctx, certs.Request{Owner: owner})
}

// ask asks the role on this machine that serves certificates, and the fronts elsewhere.
func (o ownCertificates) ask(ctx context.Context, r certs.Request) (removed bool, err error) {
	asked := false
	for _, socket := range []string{certsSocket, keepersSocket} {
		conn, err := o.vol.Dial(ctx, socket)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			continue // that role does not run
		}
		var one bool
		if err == nil {
			one, err = certs.Ask(ctx, conn, r)
		}
		switch {
		case errors.Is(err, certs.ErrNobody):
			continue
		case err != nil:
			return false, err
		}
		asked, removed = true, removed || one
	}
	if !asked {
		return false, command.ErrNoKeeper
	}
	return removed, nil
}
