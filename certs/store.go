package certs

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"

	"paas/certs/pair"
	"paas/durable"
)

// onDisk is a certificate from an authority in its file.
type onDisk struct {
	Issuer string `json:"issuer"` // the URL of the authority's directory
	PEM    string `json:"pem"`    // the key, then the chain
}

// file is where a certificate from an authority is stored. No host name has a '_' here.
func (k *Keeper) file(name string) string {
	return filepath.Join(k.Dir, "acme", strings.Replace(name, "*", "_", 1)+".json")
}

// store writes the certificate of e.
func (k *Keeper) store(e *entry) error {
	text, err := encode(e.cert)
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(onDisk{e.issuer, string(text)}, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(k.file(e.name), k.file(e.name)+".new", content, 0o600)
}

// loadNames reads the certificates from authorities, and removes those that have expired. One that
// is damaged is left out, and so obtained again.
func (k *Keeper) loadNames() error {
	files, err := os.ReadDir(filepath.Join(k.Dir, "acme"))
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok {
			continue // left by a kill
		}
		path := filepath.Join(k.Dir, "acme", f.Name())
		content, err := os.ReadFile(path)
		var s onDisk
		var cert *tls.Certificate
		if err == nil {
			err = json.Unmarshal(content, &s)
		}
		if err == nil {
			cert, err = pair.Parse([]byte(s.PEM))
		}
		if err != nil {
			k.Log.Error("a stored certificate is damaged; getting another", "file", path)
			continue
		}
		if k.clock().After(cert.Leaf.NotAfter) {
			os.Remove(path)
			continue
		}
		e := k.entry(strings.Replace(name, "_", "*", 1))
		e.cert, e.issuer = cert, s.Issuer
	}
	return err
}

// encode returns the key and the chain as PEM.
func encode(cert *tls.Certificate) ([]byte, error) {
	key, err := pair.EncodeKey(cert.PrivateKey)
	for _, der := range cert.Certificate {
		key = append(key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return key, err
}
