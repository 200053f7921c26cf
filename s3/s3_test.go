package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paas/rig/s3store"
)

// newBucket returns a bucket of a store that we have not written.
func newBucket(t *testing.T) Bucket {
	t.Helper()
	if _, err := s3store.Installed(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	store, err := s3store.Start(t.TempDir())
	must(t, err)
	t.Cleanup(store.Stop)
	b, err := Parse("s3://backups/of/server-1", store.Endpoint, "")
	must(t, err)
	b.ID, b.Key = s3store.ID, s3store.Key
	answer, err := b.do(t.Context(), http.MethodPut, "", nil, nil) // creates it
	must(t, err)
	answer.Body.Close()
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(b Bucket, name string, content []byte) error {
	return b.Put(context.Background(), name, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(content))
		return err
	})
}

// Files of all sizes come back as they were, in one request or in parts, are listed, and go.
func TestStore(t *testing.T) {
	b := newBucket(t)
	random := rand.NewChaCha8([32]byte{1})
	want := map[string]int{"empty": 0, "small": 1000, "one-part": part, "a-byte-more": part + 1, "three.parts_~": 2*part + 5}
	for name, size := range want {
		content := make([]byte, size)
		random.Read(content)
		must(t, put(b, name, content))
		f, err := b.Open(t.Context(), name)
		must(t, err)
		got, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(got), size, err)
		}
	}
	listed := func(b Bucket) (names []string) {
		must(t, b.List(t.Context(), func(name string, size int64) {
			names = append(names, name)
			if want, there := want[name]; there && size != int64(want) {
				t.Errorf("%s has %d bytes", name, size)
			}
		}))
		slices.Sort(names)
		return names
	}
	if got := strings.Join(listed(b), " "); got != "a-byte-more empty one-part small three.parts_~" {
		t.Errorf("listed: %s", got)
	}
	other := b
	other.Prefix = "of/server"
	if got := listed(other); len(got) > 0 {
		t.Errorf("another folder: %q", got)
	}
	must(t, b.Remove(t.Context(), "small"))
	must(t, b.Remove(t.Context(), "small"))
	if _, err := b.Open(t.Context(), "small"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
}

// A file whose writing fails is not there, and the store keeps no part of it.
func TestFailedPut(t *testing.T) {
	b := newBucket(t)
	broken := errors.New("broken")
	err := b.Put(t.Context(), "half", func(w io.Writer) error {
		w.Write(make([]byte, 2*part))
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := b.Open(t.Context(), "half"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file: %v", err)
	}
	answer, err := b.do(t.Context(), http.MethodGet, "", map[string][]string{"uploads": {""}}, nil)
	must(t, err)
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); bytes.Contains(text, []byte("<UploadId>")) {
		t.Errorf("the store still has parts: %s", text)
	}
}

// The store checks who asks, and no error says the secret.
func TestWrongKey(t *testing.T) {
	b := newBucket(t)
	b.Key = "hunter2"
	err := put(b, "x", nil)
	if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	b.Key, b.Name = s3store.Key, "nowhere"
	if err := put(b, "x", nil); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("no bucket: %v", err)
	}
}

// A store that is busy for a moment is asked again.
func TestAgain(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	b, err := Parse("s3://backups", server.URL, "")
	must(t, err)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := b.Remove(ctx, "x"); err != nil || asked.Load() != 2 {
		t.Errorf("%d requests, %v", asked.Load(), err)
	}
}

func TestParse(t *testing.T) {
	for _, c := range [][3]string{
		{"s3://Bad_Name", "", ""}, {"https://bucket", "", ""}, {"s3://bucket/../x", "", ""}, {"s3://bucket//x", "", ""},
		{"s3://bucket/a b", "", ""}, {"s3://", "", ""}, {"s3://bucket", "http://store.example", ""},
		{"s3://bucket", "https://user:pw@store.example", ""}, {"s3://bucket", "https://store.example/path", ""},
		{"s3://bucket", "file:///etc", ""}, {"s3://bucket", "", "Mars!"},
	} {
		if b, err := Parse(c[0], c[1], c[2]); err == nil {
			t.Errorf("%q is %+v", c, b)
		}
	}
	for _, c := range [][4]string{
		{"s3://bucket/a/b/", "https://store.example/", "", "https://store.example/bucket/a/b/x"},
		{"s3://bucket", "", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/bucket/x"},
		{"s3://bucket", "http://[::1]:9000", "", "http://[::1]:9000/bucket/x"},
	} {
		b, err := Parse(c[0], c[1], c[2])
		if err != nil {
			t.Errorf("%q: %v", c, err)
			continue
		}
		if u, err := b.address("x"); err != nil || u.String() != c[3] {
			t.Errorf("%q: %v, %v", c, u, err)
		}
	}
}
