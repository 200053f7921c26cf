package remote

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// entry returns an object of a pack; before is what stands between its header and its content.
func entry(kind plumbing.ObjectType, size int, before, content string) string {
	head := []byte{byte(kind)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	io.WriteString(z, content)
	z.Close()
	return string(head) + before + b.String()
}

func packOf(count int, entries ...string) string {
	body := string(binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"),
		uint32(count))) + strings.Join(entries, "")
	sum := sha1.Sum([]byte(body))
	return body + string(sum[:])
}

// If a server sends something that was not requested, nothing gets into the store.
func TestMalformedPacks(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commit := r.commit("main", map[string]string{"a": "1", "b/c": "2"})
	alone := r.git("", "cat-file", "commit", commit)
	blob := entry(plumbing.BlobObject, 3, "", "abc")
	id := plumbing.ComputeHash(plumbing.BlobObject, []byte("abc"))
	huge := string(binary.AppendUvarint(binary.AppendUvarint(nil, 3), 1<<40)) + "\x90\x03"
	for name, test := range map[string]struct {
		pack  string
		err   error
		words string
	}{
		"nothing":        {"", errCutOff, ""},
		"not a pack":     {"hello, this is not a pack", nil, "signature"},
		"cut":            {packOf(2, blob)[:25], errCutOff, ""},
		"wrong checksum": {packOf(1, blob)[:30] + long('x', 20), nil, ""},
		"another object": {packOf(1, blob), plumbing.ErrObjectNotFound, ""},
		"a commit alone": {packOf(1, entry(plumbing.CommitObject, len(alone), "", alone)),
			plumbing.ErrObjectNotFound, "tree"},
		"too many objects": {packOf(maxObjects+1, blob), ErrTooLarge, "objects"},
		"says it is huge": {packOf(1, entry(plumbing.BlobObject, 1<<30, "", "abc")), ErrTooLarge,
			"1 MiB"},
		"longer than said": {packOf(1, entry(plumbing.BlobObject, 3, "", "abcdef")), nil, ""},
		"delta, huge": {packOf(2, blob,
			entry(plumbing.REFDeltaObject, len(huge), string(id[:]), huge)), ErrTooLarge, "1 MiB"},
		"delta of nothing": {packOf(1, entry(plumbing.REFDeltaObject, 4, long('x', 20),
			"\x03\x03\x90\x03")), nil, ""},
	} {
		s := &store{dir: filepath.Join(t.TempDir(), "source.git"),
			limits: limits{pack: 1 << 20, file: 1 << 20}}
		if err := s.create(); err != nil {
			t.Fatal(err)
		}
		said := packetLines("packfile")
		for rest := test.pack; rest != ""; {
			n := min(len(rest), 1000)
			said += fmt.Sprintf("%04x\x01%s", n+5, rest[:n])
			rest = rest[n:]
		}
		from := reply([]byte(said + "0000"))
		from.version, from.shallow = 2, true
		err := s.add(t.Context(), from, commit, "")
		if err == nil || test.err != nil && !errors.Is(err, test.err) ||
			!strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: %v", name, err)
		}
		if have, _ := s.load(t.Context()); have != "" {
			t.Errorf("%s: the store has %s", name, have)
		}
		if left, _ := os.ReadDir(s.packDir()); len(left) > 0 &&
			strings.HasPrefix(left[len(left)-1].Name(), "tmp") {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

// A commit whose files were not all sent is not fetched.
func TestFetchIncompleteCommit(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commit := r.commit("main", map[string]string{"a": "1", "b": "2"})
	names := commit + "\n" + r.git("", "rev-parse", commit+"^{tree}") + "\n" +
		r.git("", "rev-parse", commit+":a") + "\n"
	for extra, ok := range map[string]bool{"": false, r.git("", "rev-parse", commit+":b") +
		"\n": true} {
		cmd := names + extra
		r.git(cmd, "pack-objects", "-q", r.dir+"/sent")
		found, err := filepath.Glob(r.dir + "/sent-*.pack")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		content := readTestFile(t, found[0])
		os.Remove(found[0])
		s := &store{dir: filepath.Join(t.TempDir(), "source.git"),
			limits: limits{pack: 1 << 20, file: 1 << 20}}
		if err := s.create(); err != nil {
			t.Fatal(err)
		}
		from := reply(fmt.Appendf(nil, "%s%04x\x01%s0000", packetLines("packfile"), len(content)+5,
			content))
		from.version = 2
		err = s.add(t.Context(), from, commit, "")
		var worn *storeError
		if (err == nil) != ok || !ok &&
			(!errors.As(err, &worn) || !strings.Contains(err.Error(), "is missing")) {
			t.Errorf("%v: %v", ok, err)
		}
	}
}
