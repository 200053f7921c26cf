package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Lock is for whom an archive is encrypted. The zero Lock is for everybody: it is not encrypted.
type Lock struct{ recipients []age.Recipient }

// workFactor is the cost of a passphrase: 2 to the power of it, times 1 KiB of memory. The default of
// age, 18, takes 256 MB in the server.
const workFactor, maxWorkFactor = 16, 18

// ForRecipients returns the lock for age recipients (age1...), at least one.
func ForRecipients(keys []string) (l Lock, err error) {
	for _, key := range keys {
		if strings.HasPrefix(strings.ToUpper(key), "AGE-SECRET-KEY-") {
			return l, errors.New("this is a secret key; the recipient is the public one, which begins with age1")
		}
		r, err := age.ParseRecipients(strings.NewReader(key))
		if err != nil || len(r) != 1 {
			return l, fmt.Errorf("%.80q is no age recipient: age1... as age-keygen -y prints it", key)
		}
		l.recipients = append(l.recipients, r...)
	}
	return l, nil
}

// ForPassphrase returns the lock of a passphrase.
func ForPassphrase(text string) (Lock, error) {
	r, err := age.NewScryptRecipient(text)
	if err != nil {
		return Lock{}, err
	}
	r.SetWorkFactor(workFactor)
	return Lock{[]age.Recipient{r}}, nil
}

// Closed reports whether the lock encrypts.
func (l Lock) Closed() bool { return len(l.recipients) > 0 }

// Key opens archives. The zero Key opens those that are not encrypted.
type Key struct{ identities []age.Identity }

// Identities returns the key of a file as age-keygen writes it (AGE-SECRET-KEY-...).
func Identities(file string) (Key, error) {
	ids, err := age.ParseIdentities(strings.NewReader(file))
	if err != nil { // the error may quote the key
		return Key{}, errors.New("this is no file of age-keygen: it has no line that begins with AGE-SECRET-KEY")
	}
	return Key{ids}, nil
}

// Passphrase returns the key of a passphrase.
func Passphrase(text string) (Key, error) {
	id, err := age.NewScryptIdentity(text)
	if err != nil {
		return Key{}, err
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	return Key{[]age.Identity{id}}, nil
}

// seal returns a writer that compresses and encrypts into out. close ends the archive, but not out.
func seal(out io.Writer, l Lock) (w io.Writer, close func() error, err error) {
	inner := func() error { return nil }
	if l.Closed() {
		encrypted, err := age.Encrypt(out, l.recipients...)
		if err != nil {
			return nil, nil, err
		}
		out, inner = encrypted, encrypted.Close
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return nil, nil, err
	}
	return z, func() error { return errors.Join(z.Close(), inner()) }, nil
}

var (
	ageStart  = []byte("age-encryption.org/v1\n")
	zstdStart = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow is how much memory the decompression may take for one window.
const maxWindow = 16 << 20

// open undoes seal.
func open(in io.Reader, key Key) (r io.Reader, close func(), err error) {
	buffered := bufio.NewReaderSize(in, 256<<10)
	start, err := buffered.Peek(len(ageStart))
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	var plain io.Reader = buffered
	if bytes.Equal(start, ageStart) {
		if len(key.identities) == 0 {
			return nil, nil, ErrEncrypted
		}
		var none *age.NoIdentityMatchError
		plain, err = age.Decrypt(buffered, key.identities...)
		switch {
		case errors.As(err, &none):
			return nil, nil, ErrWrongKey
		case err != nil:
			return nil, nil, fmt.Errorf("%w: %w", ErrTorn, err)
		}
	} else if !bytes.HasPrefix(start, zstdStart) {
		return nil, nil, ErrNoBackup
	}
	z, err := zstd.NewReader(plain, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(2),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	return z, z.Close, nil
}
