package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"paas/rig/sshkey"
)

func lineOf(signer gossh.Signer) []byte { return []byte(keyLine(signer.PublicKey()) + " you@laptop") }

func mustAdd(t testing.TB, k *Keys, name string, signer gossh.Signer) Key {
	t.Helper()
	return addLine(t, k, Adding{Name: name}, string(lineOf(signer)))
}

// addLine adds one key.
func addLine(t testing.TB, k *Keys, a Adding, line string) Key {
	t.Helper()
	added, err := k.Add(line, a)
	if err != nil || len(added) != 1 {
		t.Fatalf("%v, %v", added, err)
	}
	return added[0]
}

// known reports whether a key may connect.
func known(k *Keys, key gossh.PublicKey) bool {
	_, _, err := k.Lookup(key, netip.Addr{})
	return err == nil
}

func TestKeysAddListRemove(t *testing.T) {
	k := &Keys{Dir: filepath.Join(t.TempDir(), "ssh")}
	if keys, err := k.List(); err != nil || len(keys) != 0 {
		t.Fatalf("before the first key: %v, %v", keys, err)
	}
	alice, bob := sshkey.New(t), sshkey.New(t)
	first := mustAdd(t, k, "bob", bob)
	if first.Role != Admin {
		t.Error("the first key is not an admin")
	}
	second := mustAdd(t, k, "alice", alice)
	if second.Role != Member {
		t.Error("the second key is an admin")
	}
	if want := gossh.FingerprintSHA256(alice.PublicKey()); second.Fingerprint != want {
		t.Errorf("fingerprint %s, want %s", second.Fingerprint, want)
	}
	keys, err := k.List()
	if err != nil || len(keys) != 2 || keys[0].Name != "alice" || keys[1].Name != "bob" || keys[1].Role != Admin {
		t.Fatalf("list: %+v, %v", keys, err)
	}
	if keys[0].Comment != "you@laptop" || keys[0].Line != string(lineOf(alice)) || keys[0].Added.IsZero() {
		t.Errorf("what was stored: %+v", keys[0])
	}
	if text, err := json.Marshal(keys[0]); err != nil || !bytes.Contains(text,
		[]byte(`"fingerprint":"SHA256:`)) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "keys": 0o700, "keys/bob": 0o600} {
		if info, err := os.Stat(filepath.Join(k.Dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode().Perm(), err, mode)
		}
	}
	text, err := os.ReadFile(filepath.Join(k.Dir, "keys/bob"))
	if err != nil || string(text) != "admin "+string(lineOf(bob))+"\n" {
		t.Errorf("file of an admin: %q, %v", text, err)
	}
	if left, _ := os.ReadDir(filepath.Join(k.Dir, "tmp")); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}

	if err := k.Remove("alcie"); err == nil || !strings.Contains(err.Error(), "did you mean alice?") {
		t.Errorf("remove a misspelt name: %v", err)
	}
	if err := k.Remove("../host_ed25519"); err == nil || !strings.Contains(err.Error(),
		"no key named") {
		t.Errorf("remove a path: %v", err)
	}
	if err := k.Remove("bob"); err == nil || err.Error() != "bob is the last admin; add another admin first" {
		t.Errorf("remove the last admin: %v", err)
	}
	if err := k.Remove("alice"); err != nil {
		t.Fatal(err)
	}
	if known(k, alice.PublicKey()) {
		t.Error("a removed key is still found")
	}
	addLine(t, k, Adding{Name: "carol", Role: Admin}, string(lineOf(sshkey.New(t))))
	if err := k.Remove("bob"); err != nil {
		t.Errorf("remove one of two admins: %v", err)
	}
}

func TestKeysAddRefuses(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	alices := sshkey.New(t)
	mustAdd(t, k, "alice", alices)

	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := gossh.Marshal(struct {
		Type string
		E, N *big.Int
	}{"ssh-rsa", big.NewInt(65537), new(big.Int).SetBit(big.NewInt(1), 1023, 1)})
	dsa := gossh.Marshal(struct {
		Type       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", new(big.Int).SetBit(big.NewInt(1), 1023, 1), new(big.Int).SetBit(big.NewInt(1), 159,
		1), big.NewInt(2), big.NewInt(3)})
	fresh := string(lineOf(sshkey.New(t)))
	secret := string(sshkey.PrivateText(t, private))
	cert := &gossh.Certificate{Key: alices.PublicKey(), CertType: gossh.UserCert,
		ValidBefore: gossh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, sshkey.New(t)); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct{ name, text, want string }{
		{"alice2", string(lineOf(alices)), `here already, as "alice"`},
		{"alice2", keyLine(alices.PublicKey()) + " another comment", `here already, as "alice"`},
		{"bob", secret, "private key"},
		{"bob", "PuTTY-User-Key-File-3: ssh-ed25519\n", "private key"},
		{"bob", "", "no key given"},
		{"bob", " \r\n\t\n", "no key given"},
		{"bob", "hello", "not a public key"},
		{"bob", "ssh-ed25519 AAAA you@laptop", "not a public key"},
		{"bob", "ssh-ed25519 \x1b[2J", "not a public key"},
		{"bob", fresh + "\nnonsense\n" + string(lineOf(sshkey.New(t))), "line 2: not a public key"},
		{"bob", fresh + strings.Repeat(" ", 10) + strings.Repeat("x", maxKeyText), "too long"},
		{"bob", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "ssh-keygen -i"},
		{"bob", "ssh-rsa " + base64.StdEncoding.EncodeToString(weak), "at least 2048 bits"},
		{"bob", "ssh-dss " + base64.StdEncoding.EncodeToString(dsa), "not accepted"},
		{"bob", `command="sh",no-pty ` + fresh,
			`from= and expiry-time= are not supported (["command=\"sh\"" "no-pty"])`},
		{"bob", "admin " + fresh, "options in front of a key"},
		{"bob", "guest " + fresh, "options in front of a key"},
		{"bob", `from="laptop.example" ` + fresh, `not "laptop.example"`},
		{"bob", `from="10.0.0.1/8" ` + fresh, `not "10.0.0.1/8"`},
		{"bob", `from="10.0.0.1,,::1" ` + fresh, `not ""`},
		{"bob", `from="10.0.0.1",from="::1" ` + fresh, "are not supported"},
		{"bob", `expiry-time="tomorrow" ` + fresh, `not "tomorrow"`},
		{"bob", `expiry-time="20271301" ` + fresh, `not "20271301"`},
		{"bob", keyLine(cert), "certificates are not supported"},
		{"../bob", fresh, "not a key name"},
		{".bob", fresh, "not a key name"},
		{"Bob", fresh, "not a key name"},
		{"bob/x", fresh, "not a key name"},
		{"bob\n", fresh, "not a key name"},
		{"bob+2", fresh, "not a key name"},
		{strings.Repeat("b", 64), fresh, "not a key name"},
	} {
		_, err := k.Add(tt.text, Adding{Name: tt.name})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("add %q %.40q: %v; want %q", tt.name, tt.text, err, tt.want)
			continue
		}
		if body := strings.Split(secret, "\n")[1]; strings.Contains(err.Error(),
			body) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("add %.40q echoes what it was given: %q", tt.text, err)
		}
	}
	if keys, _ := k.List(); len(keys) != 1 {
		t.Errorf("keys after refusals: %v", keys)
	}
}

func TestKeysAddAccepts(t *testing.T) {
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"windows":            string(lineOf(sshkey.New(t))) + "\r\n",
		"blanks":             "\n\n  " + string(lineOf(sshkey.New(t))) + "  \n\n",
		"bom":                "\xef\xbb\xbf" + string(lineOf(sshkey.New(t))),
		"no-comment":         keyLine(sshkey.New(t).PublicKey()),
		"words":              keyLine(sshkey.New(t).PublicKey()) + " Ada's old laptop",
		"rsa":                keyLine(sshkey.Signer(t, big).PublicKey()),
		"ecdsa":              keyLine(sshkey.Signer(t, curve).PublicKey()),
		"ada@home.example_1": keyLine(sshkey.New(t).PublicKey()),
	} {
		k := &Keys{Dir: t.TempDir()}
		added := addLine(t, k, Adding{Name: name}, text)
		if listed, err := k.List(); err != nil || len(listed) != 1 || listed[0].Line != added.Line || listed[0].Role != Admin {
			t.Errorf("%s: added %+v, listed %+v, %v", name, added, listed, err)
		}
	}
}

// A file that is not a key does not affect other keys. It is logged once, and Remove removes it.
func TestKeysSkipsWhatIsNoKey(t *testing.T) {
	var log bytes.Buffer
	k := &Keys{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	alice := sshkey.New(t)
	mustAdd(t, k, "alice", alice)
	eve := string(lineOf(sshkey.New(t)))
	for name, text := range map[string]string{
		"broken":   "ssh-ed25519 AAAA",
		"empty":    "",
		"two":      eve + "\n" + eve + "\n",
		"limited":  `command="sh" ` + eve,
		"limited2": `admin,no-pty ` + eve,
		".hidden":  eve,
		"backup~":  eve,
	} {
		if err := os.WriteFile(filepath.Join(k.Dir, "keys", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/zero", filepath.Join(k.Dir, "keys", "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(k.Dir, "keys", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if keys, err := k.List(); err != nil || len(keys) != 1 {
			t.Fatalf("list: %v, %v", keys, err)
		}
	}
	if !known(k, alice.PublicKey()) {
		t.Error("alice is locked out")
	}
	if n := strings.Count(log.String(), "not a key; skipped"); n != 5 {
		t.Errorf("%d complaints, want 5 (once a file):\n%s", n, log.String())
	}
	if strings.Contains(log.String(), eve) {
		t.Error("the log has the contents of a file")
	}
	if err := k.Remove("broken"); err != nil {
		t.Errorf("remove a broken file: %v", err)
	}
}

// An unreadable key still counts as a key, so the next one is not the first.
func TestKeysFirstIsTheFirstFile(t *testing.T) {
	k := &Keys{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	if err := os.MkdirAll(filepath.Join(k.Dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(k.Dir, "keys", "old"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key := mustAdd(t, k, "eve", sshkey.New(t)); key.Role == Admin {
		t.Error("eve became an admin")
	}
}

// Another *Keys on the same folder stands for another process. Its changes take effect at once.
func TestKeysAreHot(t *testing.T) {
	dir := t.TempDir()
	ours, theirs := &Keys{Dir: dir}, &Keys{Dir: dir}
	admin, bob := sshkey.New(t), sshkey.New(t)
	mustAdd(t, theirs, "admin", admin)
	mustAdd(t, theirs, "bob", bob)
	if who, role, err := ours.Lookup(bob.PublicKey(), netip.Addr{}); err != nil || who.Name != "bob" || role != Member {
		t.Errorf("lookup: %+v, %v, %v", who, role, err)
	}
	if err := theirs.Remove("bob"); err != nil {
		t.Fatal(err)
	}
	if known(ours, bob.PublicKey()) {
		t.Error("still there")
	}
}

// Many processes add keys at once, some to one name: none is lost, and exactly one is the first.
func TestKeysConcurrentAdds(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		line := string(lineOf(sshkey.New(t)))
		name := []string{"same", fmt.Sprintf("own%d", i)}[i%2]
		wg.Go(func() {
			if _, err := (&Keys{Dir: dir}).Add(line, Adding{Name: name}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := (&Keys{Dir: dir}).List()
	if err != nil || len(keys) != 16 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	var admins []string
	for _, key := range keys {
		if key.Role == Admin && !slices.Contains(admins, key.Name) {
			admins = append(admins, key.Name)
		}
	}
	if len(admins) != 1 {
		t.Errorf("admins: %q", admins)
	}
}

// Leftovers of a killed write do no harm.
func TestKeysIgnoresLeftovers(t *testing.T) {
	k := &Keys{Dir: t.TempDir()}
	mustAdd(t, k, "alice", sshkey.New(t))
	if err := os.WriteFile(filepath.Join(k.Dir, "tmp", "new-123"), lineOf(sshkey.New(t))[:20],
		0o600); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, k, "bob", sshkey.New(t))
	if keys, err := k.List(); err != nil || len(keys) != 2 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestHostKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ssh")
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(dir, hostKeyFile)
	first, err := HostKey(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	if first.PublicKey().Type() != gossh.KeyAlgoED25519 {
		t.Errorf("type %s", first.PublicKey().Type())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := HostKey(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.PublicKey().Marshal(), again.PublicKey().Marshal()) {
		t.Error("the host key changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, damaged := range []string{"",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nTOPSECRET\n-----END OPENSSH PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := HostKey(dir, log)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(),
			"TOPSECRET") {
			t.Errorf("damaged host key: %v", err)
		}
		if text, _ := os.ReadFile(path); string(text) != damaged {
			t.Error("a damaged host key was replaced")
		}
	}
}

// Servers that start at once in one folder get the same host key.
func TestHostKeyRace(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var prints [8]string
	for i := range prints {
		wg.Go(func() {
			signer, err := HostKey(dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = gossh.FingerprintSHA256(signer.PublicKey())
		})
	}
	wg.Wait()
	for _, p := range prints {
		if p != prints[0] {
			t.Fatalf("different host keys: %v", prints)
		}
	}
}
