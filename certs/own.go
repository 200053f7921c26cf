package certs

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"

	"paas/certs/pair"
	"paas/durable"
)

// ownFor returns the certificate that the owner of a name has brought, if it is for that name. The
// caller holds mu.
func (k *Keeper) ownFor(name string) *tls.Certificate {
	if len(k.own) == 0 {
		return nil
	}
	owner, ok := k.Owner(name)
	if cert := k.own[owner]; ok && cert != nil && isFor(cert, name) {
		return cert
	}
	return nil
}

// isFor reports whether the certificate is for the name, or for all names that a wildcard stands
// for.
func isFor(cert *tls.Certificate, name string) bool {
	if domain, ok := strings.CutPrefix(name, "*."); ok {
		name = "a." + domain
		if cert.Leaf.VerifyHostname("b."+domain) != nil {
			return false
		}
	}
	return cert.Leaf.VerifyHostname(name) == nil
}

// SetOwn stores a certificate and its key for the names of owner, which it is served for from now
// on. It replaces the owner's earlier one. owner is a file name.
func (k *Keeper) SetOwn(owner string, text []byte) error {
	cert, err := pair.Parse(text)
	if err == nil {
		err = pair.CheckTime(cert, k.clock())
	}
	if err == nil {
		text, err = encode(cert)
	}
	if err == nil {
		err = durable.Replace(k.ownFile(owner), k.ownFile(owner)+".new", text, 0o600)
	}
	if err != nil {
		return err
	}
	k.changeOwn(func() { k.own[owner] = cert })
	return nil
}

// RemoveOwn removes the certificate that owner has brought; ok is false if there is none. Its names
// get others from the authorities.
func (k *Keeper) RemoveOwn(owner string) (ok bool, err error) {
	err = os.Remove(k.ownFile(owner))
	if os.IsNotExist(err) {
		return false, nil
	}
	k.changeOwn(func() { delete(k.own, owner) })
	return true, err
}

// KeepOwn removes the certificates of owners other than those that there are.
func (k *Keeper) KeepOwn(there func(owner string) bool) {
	k.mu.RLock()
	var gone []string
	for owner := range k.own {
		if !there(owner) {
			gone = append(gone, owner)
		}
	}
	k.mu.RUnlock()
	for _, owner := range gone {
		if _, err := k.RemoveOwn(owner); err != nil {
			k.Log.Error("cannot remove the certificate of an owner who is gone", "err", err)
		}
	}
}

// changeOwn changes what owners have brought, and looks at all names again.
func (k *Keeper) changeOwn(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	for _, e := range k.names {
		poke(e.poked)
	}
}

func (k *Keeper) ownFile(owner string) string { return filepath.Join(k.Dir, "own", owner+".pem") }

func (k *Keeper) loadOwn() error {
	files, err := os.ReadDir(filepath.Join(k.Dir, "own"))
	for _, f := range files {
		owner, ok := strings.CutSuffix(f.Name(), ".pem")
		if !ok {
			continue
		}
		text, err := os.ReadFile(k.ownFile(owner))
		var cert *tls.Certificate
		if err == nil {
			cert, err = pair.Parse(text)
		}
		if err != nil {
			k.Log.Error("the certificate of an owner is damaged",
				"file", k.ownFile(owner), "err", err)
			continue
		}
		k.own[owner] = cert
	}
	return err
}
