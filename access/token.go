package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/volume"
)

// Token is a secret that stands for its owner, within limits. The secret itself is not stored.
type Token struct {
	ID      string    `json:"id"` // a part of the secret
	Name    string    `json:"name"`
	Owner   string    `json:"owner"` // name of a person; empty: the server's owner
	Can     Right     `json:"can"`   // at most, and never more than the owner
	Apps    []string  `json:"apps"`  // identities of the only apps; none: all of the owner's
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"` // zero: it was not
	SHA256  string    `json:"sha256"`           // of the secret, in hexadecimal digits

	Used time.Time `json:"-"` // last, to the minute; zero: never
}

// The errors of [Tokens.Lookup]. Each is one line for the person, without the secret.
var (
	ErrTokenWrong     = errors.New("this is no token of this server")
	ErrTokenTruncated = errors.New("a part of the token is missing or mistyped; copy all of it")
	ErrTokenExpired   = errors.New("it has expired")
	ErrTokenRevoked   = errors.New("it was revoked")
)

// Tokens is the set of tokens, one file per token: DIR/tokens/<id>.
type Tokens struct{ *Keys }

const (
	tokensFolder = "tokens"
	tokenPrefix  = "paas_"
	tokenKept    = 90 * 24 * time.Hour // after its end, to tell its holder
	maxTokens    = 500                 // of an owner, those that have ended included
)

// tokenID returns the id in a secret, which has the form paas_<id>_<130 random bits><checksum>; ok is
// false if it is not whole.
func tokenID(secret string) (id string, ok bool) {
	const length, sum = len(tokenPrefix) + 8 + 1 + 26 + 7, 7
	if len(secret) != length {
		return "", false
	}
	id = secret[len(tokenPrefix):][:8]
	ok = only(id, lower+digits) && checksum(secret[:length-sum]) == secret[length-sum:]
	return id, ok
}

// checksum is the CRC-32 by which a token is recognised that was not copied whole, or was published
// by mistake.
func checksum(text string) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text)))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum)
}

// Create makes a token of t's name, owner, limits and expiry. Only the caller ever sees the secret.
// It is an error if the owner has a token of that name that still counts.
func (k Tokens) Create(t Token) (secret string, made Token, err error) {
	if !isName(t.Name) {
		return "", t, fmt.Errorf("%.80q is not a token name: %s", t.Name, nameRule)
	}
	unlock, err := lock(k.Dir)
	if err != nil {
		return "", t, err
	}
	defer unlock()
	all, err := k.all()
	if err != nil {
		return "", t, err
	}
	count := 0
	for _, other := range all {
		if other.Owner == t.Owner {
			count++
		}
		if time.Since(other.end()) > tokenKept {
			if err := remove(k.Dir, filepath.Join(tokensFolder, other.ID)); err != nil {
				return "", t, err
			}
		} else if other.Owner == t.Owner && other.Name == t.Name && other.usable() == nil {
			return "", t, fmt.Errorf("there is a token named %q already", t.Name)
		}
	}
	if count >= maxTokens {
		return "", t, fmt.Errorf("you have made %d tokens; those that have ended are removed after 90 days", count)
	}
	t.ID = strings.ToLower(rand.Text()[:8])
	secret = tokenPrefix + t.ID + "_" + rand.Text()
	secret += checksum(secret)
	t.SHA256, t.Created = hash(secret), time.Now().UTC().Truncate(time.Second)
	return secret, t, k.write(t)
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (k Tokens) write(t Token) error {
	content, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(k.Dir, filepath.Join(tokensFolder, t.ID), append(content, '\n')); err != nil {
		return fmt.Errorf("token %s: %w", t.Name, err)
	}
	return nil
}

// Lookup returns whom the token stands for, who comes from an address, and notes that it is used. A
// secret that is not whole is refused without a look at the disk. The error wraps one of
// [ErrTokenWrong], [ErrTokenTruncated], [ErrTokenExpired] and [ErrTokenRevoked], or says that the
// owner has no access any more.
func (k Tokens) Lookup(secret string, from netip.Addr) (Identity, error) {
	if !strings.HasPrefix(secret, tokenPrefix) {
		return Identity{}, tokenError(Token{}, ErrTokenWrong)
	}
	id, whole := tokenID(secret)
	if !whole {
		return Identity{}, tokenError(Token{}, ErrTokenTruncated)
	}
	t, err := k.read(id)
	switch {
	case errors.Is(err, fs.ErrNotExist),
		err == nil && subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(t.SHA256)) == 0:
		return Identity{}, tokenError(Token{}, ErrTokenWrong)
	case err != nil:
		return Identity{}, err
	}
	who := Identity{Name: t.Owner, From: from, Token: t.ID}
	if who.Name == "" {
		who.Name = "token " + t.Name
	}
	if err := t.usable(); err != nil {
		return who, err
	}
	if _, err := k.ownerOf(t, from); err != nil {
		return who, err
	}
	k.uses.note(k.Dir, t.ID)
	return who, nil
}

// end returns when the token ends, or has ended.
func (t Token) end() time.Time {
	if !t.Revoked.IsZero() && t.Revoked.Before(t.Expires) {
		return t.Revoked
	}
	return t.Expires
}

func (t Token) usable() error {
	switch {
	case !t.Revoked.IsZero():
		return tokenError(t, ErrTokenRevoked)
	case !time.Now().Before(t.Expires):
		return tokenError(t, ErrTokenExpired)
	}
	return nil
}

// tokenError is a problem with a token, whose remedy is another one.
func tokenError(t Token, err error) error {
	if t.Name != "" {
		err = fmt.Errorf("token %s: %w", t.Name, err)
	}
	return &volume.Problem{Err: err, Remedy: volume.Remedy{Do: volume.MakeToken}}
}

func (k Tokens) read(id string) (t Token, err error) {
	content, err := os.ReadFile(filepath.Join(k.Dir, tokensFolder, id))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(content, &t); err != nil {
		return t, fmt.Errorf("token %s: %w", id, err)
	}
	t.ID, t.Used = id, k.uses.last(k.Dir, id)
	return t, nil
}

// List returns the tokens of an owner that were not revoked, by name; empty: all.
func (k Tokens) List(owner string) ([]Token, error) {
	all, err := k.all()
	return slices.DeleteFunc(all, func(t Token) bool {
		return !t.Revoked.IsZero() || owner != "" && t.Owner != owner
	}), err
}

// all returns all tokens, by name. A file that is damaged is logged and left out.
func (k Tokens) all() (all []Token, err error) {
	entries, err := os.ReadDir(filepath.Join(k.Dir, tokensFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		t, err := k.read(e.Name())
		if err != nil {
			k.log().Error("token not read", "err", err)
			continue
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Revoke ends the token of that id at once.
func (k Tokens) Revoke(id string) error {
	unlock, err := lock(k.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	t, err := k.read(id)
	if err != nil {
		return err
	}
	t.Revoked = time.Now().UTC().Truncate(time.Second)
	return k.write(t)
}

// forgetTokens removes all tokens of an owner.
func (k *Keys) forgetTokens(owner string) error {
	all, err := Tokens{k}.all()
	for _, t := range all {
		if t.Owner == owner {
			err = errors.Join(err, remove(k.Dir, filepath.Join(tokensFolder, t.ID)))
		}
	}
	return err
}
