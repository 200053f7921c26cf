package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"paas/access"
	"paas/rig"
	"paas/volume"
)

func newVolume(t *testing.T, root string) *volume.Volume {
	t.Helper()
	v := &volume.Volume{Root: root, Log: slog.New(slog.DiscardHandler)}
	must(t, v.Open())
	t.Cleanup(func() { v.Close() })
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func anything(volume.Settings, volume.Wanted, *volume.Source) error { return nil }

// written returns a backup of the volume.
func written(t *testing.T, v *volume.Volume, what What, l Lock) []byte {
	t.Helper()
	var out bytes.Buffer
	keys := &access.Keys{Dir: filepath.Join(v.Root, "ssh"), Volume: v}
	_, err := Maker{Volume: v, Keys: keys, Who: "test"}.Write(t.Context(), &out, what, l)
	must(t, err)
	return out.Bytes()
}

// unpacked reads a backup into a folder of the volume.
func unpacked(v *volume.Volume, content []byte, key Key, only string, limit int64) (dir string, u *Unpacked, err error) {
	r, err := Open(bytes.NewReader(content), key, limit)
	if err != nil {
		return "", nil, err
	}
	defer r.Close()
	if dir, err = v.TempDir(); err != nil {
		return "", nil, err
	}
	u, err = Unpacker{Volume: v, Check: anything, MaxFiles: 1000}.Unpack(context.Background(), r, dir, only, true)
	return dir, u, err
}

const plenty = 1 << 40

// An app comes back with its settings, its history as one that is over, and its files with content,
// modes, times and links. Its owner and its special modes do not count.
func TestApp(t *testing.T) {
	v := newVolume(t, t.TempDir())
	app, err := v.Create("blog")
	must(t, err)
	must(t, app.SetSettings(volume.Settings{Config: map[string]string{"A": "1"}}))
	must(t, app.SetWanted(volume.Wanted{Formation: map[string]int{"web": 2}, Stopped: 3, Names: volume.Names{Domains: []string{"a.example"}}}))
	must(t, app.SetSource(volume.Source{URL: "https://host.test/r"}))
	must(t, v.Credentials("blog").Set(volume.SourceToken, []byte("secret")))
	for range 3 {
		r, err := app.Publish(volume.Release{Commit: strings.Repeat("a", 40), By: "alice\x1b[31m", Settings: volume.Settings{Config: map[string]string{"A": "0"}}})
		must(t, err)
		must(t, app.SetStatus(r.N, volume.Status{State: volume.Retired}))
	}
	must(t, app.SetStatus(2, volume.Status{State: volume.Live}))
	must(t, app.SetStatus(3, volume.Status{State: volume.Building}))
	must(t, app.SetLive(2))
	data := app.Data()
	must(t, os.MkdirAll(data+"/d/e", 0o750))
	must(t, os.WriteFile(data+"/d/e/f", []byte("content"), 0o600))
	must(t, syscall.Chmod(data+"/d/e/f", 0o4751))
	at := time.Unix(1_000_000_000, 0)
	must(t, os.Chtimes(data+"/d/e/f", at, at))
	must(t, os.Symlink("../../outside", data+"/d/link"))
	must(t, os.WriteFile(data+"/odd \xff\nname", nil, 0o644))
	must(t, syscall.Mkfifo(data+"/pipe", 0o600))
	must(t, os.MkdirAll(app.StorageFiles("public/up"), 0o755))
	must(t, os.WriteFile(app.StorageFiles("public/up")+"/x", []byte("up"), 0o644))

	content := written(t, v, What{App: "blog"}, Lock{})
	to := newVolume(t, t.TempDir())
	dir, u, err := unpacked(to, content, Key{}, "blog", plenty)
	must(t, err)
	back, err := to.CreateFrom("copy", Place(dir, "blog"))
	must(t, err)

	if len(u.End.Notes) != 1 || !strings.Contains(u.End.Notes[0], "pipe is not in the backup") {
		t.Errorf("notes: %q", u.End.Notes)
	}
	if s, err := back.Settings(); err != nil || s.Config["A"] != "0" {
		t.Errorf("the settings are not those of what was live: %v, %v", s, err)
	}
	if w, err := back.Wanted(); err != nil || w.Formation["web"] != 2 || w.Stopped != 0 || len(w.Names.Domains) > 0 {
		t.Errorf("wanted: %+v, %v", w, err)
	}
	left, waits, err := back.Restored()
	if err != nil || !waits || left.Live != 2 || left.Source.URL != "https://host.test/r" || left.Names.Domains[0] != "a.example" {
		t.Errorf("left to do: %+v, %v, %v", left, waits, err)
	}
	if _, follows, _ := back.Source(); follows {
		t.Error("it follows its source at once")
	}
	if token, err := to.Credentials("copy").Get(volume.SourceToken); token != nil || err != nil {
		t.Errorf("its credentials are in use: %q, %v", token, err)
	}
	must(t, back.TakeRestored())
	if token, _ := to.Credentials("copy").Get(volume.SourceToken); string(token) != "secret" {
		t.Errorf("credentials: %q", token)
	}
	for n, want := range map[int]volume.State{1: volume.Retired, 2: volume.Retired, 3: volume.Cancelled} {
		if s, err := back.Status(n); err != nil || s.State != want {
			t.Errorf("v%d: %v, %v", n, s.State, err)
		}
	}
	must(t, back.Repair()) // finds no release to be made live
	if back.Live() != 0 {
		t.Errorf("v%d is live", back.Live())
	}
	if r, err := back.Release(1); err != nil || strings.Contains(r.By, "\x1b") {
		t.Errorf("by %q, %v", r.By, err)
	}
	info, err := os.Stat(back.Data() + "/d/e/f")
	must(t, err)
	if info.Mode() != 0o751 || !info.ModTime().Equal(at) {
		t.Errorf("mode %v, time %v", info.Mode(), info.ModTime())
	}
	for name, want := range map[string]string{"d/e/f": "content", "odd \xff\nname": ""} {
		if got, err := os.ReadFile(filepath.Join(back.Data(), name)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	if link, err := os.Readlink(back.Data() + "/d/link"); link != "../../outside" || err != nil {
		t.Errorf("link to %q, %v", link, err)
	}
	if got, err := os.ReadFile(back.StorageFiles("public/up") + "/x"); string(got) != "up" || err != nil {
		t.Errorf("storage: %q, %v", got, err)
	}
	if info, err := os.Stat(back.Data() + "/d/e"); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
}

// A backup that ends anywhere, or in which a byte is different, is found out, encrypted or not.
func TestTorn(t *testing.T) {
	v := newVolume(t, t.TempDir())
	app, err := v.Create("blog")
	must(t, err)
	text := strings.Repeat("some text ", 100)
	must(t, os.WriteFile(app.Data()+"/f", []byte(text), 0o600))
	id, err := age.GenerateX25519Identity()
	must(t, err)
	lock, err := ForRecipients([]string{id.Recipient().String()})
	must(t, err)
	key, err := Identities("# a comment\n" + id.String() + "\n")
	must(t, err)
	for name, c := range map[string]struct {
		lock Lock
		key  Key
	}{"plain": {}, "age": {lock, key}} {
		content := written(t, v, What{App: "blog"}, c.lock)
		if _, _, err := unpacked(v, content, c.key, "", plenty); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for n := 0; n < len(content); n += max(1, n/50) {
			if _, _, err := unpacked(v, content[:n], c.key, "", plenty); err == nil {
				t.Errorf("%s: %d of %d bytes are enough", name, n, len(content))
			}
			changed := bytes.Clone(content)
			changed[n] ^= 4
			dir, _, err := unpacked(v, changed, c.key, "", plenty)
			if err != nil {
				continue
			}
			// a bit that the compression does not use
			if got, _ := os.ReadFile(filepath.Join(Place(dir, "blog"), "data", "f")); string(got) != text {
				t.Errorf("%s: byte %d of %d may be different", name, n, len(content))
			}
		}
		if _, _, err := unpacked(v, slices.Concat(content, []byte("more")), c.key, "", plenty); err == nil {
			t.Errorf("%s: something may follow", name)
		}
	}
}

func TestKeys(t *testing.T) {
	v := newVolume(t, t.TempDir())
	_, err := v.Create("blog")
	must(t, err)
	a, err := age.GenerateX25519Identity()
	must(t, err)
	b, err := age.GenerateX25519Identity()
	must(t, err)
	lock, err := ForRecipients([]string{a.Recipient().String()})
	must(t, err)
	content := written(t, v, What{App: "blog"}, lock)
	if bytes.Contains(content, []byte("backup.json")) {
		t.Error("it can be read")
	}
	wrong, err := Identities(b.String())
	must(t, err)
	if _, err := Open(bytes.NewReader(content), wrong, plenty); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := Open(bytes.NewReader(content), Key{}, plenty); !errors.Is(err, ErrEncrypted) {
		t.Errorf("no key: %v", err)
	}
	lock, err = ForPassphrase("correct horse")
	must(t, err)
	content = written(t, v, What{App: "blog"}, lock)
	for text, want := range map[string]error{"correct horse": nil, "wrong horse": ErrWrongKey} {
		key, err := Passphrase(text)
		must(t, err)
		if _, _, err := unpacked(v, content, key, "", plenty); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ForRecipients([]string{a.String()}); err == nil || strings.Contains(err.Error(), a.String()) {
		t.Errorf("a secret key as recipient: %v", err)
	}
}

// item is an entry of an archive that somebody made by hand.
type item struct {
	tar.Header
	content string
}

func file(name, content string) item {
	return item{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

// packed makes an archive of items.
func packed(t *testing.T, items ...item) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	must(t, err)
	w := tar.NewWriter(z)
	for _, i := range items {
		if i.Size == 0 {
			i.Size = int64(len(i.content))
		}
		must(t, w.WriteHeader(&i.Header))
		_, err := io.WriteString(w, i.content)
		must(t, err)
	}
	w.Flush()
	w.Close()
	must(t, z.Close())
	return out.Bytes()
}

const (
	theID     = "ABCDEFGHIJKLMNOP"
	theHeader = `{"format":1,"apps":["blog"]}`
	theApp    = `{"id":"ABCDEFGHIJKLMNOP"}`
	theEnd    = `{"apps":["blog"]}`
)

// around returns an archive of an app with these entries more.
func around(t *testing.T, items ...item) []byte {
	return packed(t, slices.Concat(
		[]item{file("backup.json", theHeader), file("apps/blog/app.json", theApp)}, items, []item{file("end.json", theEnd)},
	)...)
}

// What this program does not write is refused, and changes nothing outside of the folder for it.
func TestHostile(t *testing.T) {
	link := func(name, to string) item {
		return item{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}, ""}
	}
	kind := func(flag byte, name string) item {
		return item{tar.Header{Typeflag: flag, Name: name, Linkname: "apps/blog/data/x"}, ""}
	}
	top := t.TempDir()
	v := newVolume(t, filepath.Join(top, "root"))
	release := func(text string) item { return file("apps/blog/releases/1.json", text) }
	for name, items := range map[string][]item{
		"out":                   {file("../evil", "")},
		"out of data":           {file("apps/blog/data/../evil", "")},
		"far out of data":       {file("apps/blog/data/../../../../../evil", "")},
		"absolute":              {file("/evil", "")},
		"absolute in data":      {file("apps/blog/data//evil", "")},
		"through a link":        {link("apps/blog/data/l", "../../.."), file("apps/blog/data/l/evil", "")},
		"through a long link":   {link("apps/blog/data/l", "/"), file("apps/blog/data/l/evil", "")},
		"over a link":           {link("apps/blog/data/l", "../evil"), file("apps/blog/data/l", "")},
		"a folder over a link":  {link("apps/blog/data/l", ".."), {tar.Header{Typeflag: tar.TypeDir, Name: "apps/blog/data/l/"}, ""}},
		"data is a link":        {link("apps/blog/data", "/")},
		"twice":                 {file("apps/blog/data/x", "1"), file("apps/blog/data/x", "2")},
		"hard link":             {file("apps/blog/data/x", ""), kind(tar.TypeLink, "apps/blog/data/y")},
		"device":                {kind(tar.TypeBlock, "apps/blog/data/y")},
		"character device":      {kind(tar.TypeChar, "apps/blog/data/y")},
		"pipe":                  {kind(tar.TypeFifo, "apps/blog/data/y")},
		"hooks":                 {file("apps/blog/repo.git/hooks/post-receive", "#!/bin/sh")},
		"git config":            {file("apps/blog/repo.git/config", "")},
		"uid":                   {file("apps/blog/uid", "0")},
		"live":                  {link("apps/blog/live", "releases/1")},
		"builds":                {file("apps/blog/builds/x/built.json", "{}")},
		"another app":           {file("apps/shop/data/x", "")},
		"another app's facts":   {file("apps/shop/app.json", theApp)},
		"the app twice":         {file("apps/blog/app.json", theApp)},
		"a server's":            {file("server/access.json", "{}")},
		"host key":              {file("server/host_key", "")},
		"unknown credential":    {file("apps/blog/credentials/../x", "")},
		"another credential":    {file("apps/blog/credentials/id", "")},
		"not a release":         {release("{}")},
		"release of another":    {release(`{"n":2}`)},
		"build out":             {release(`{"n":1,"build":"../../x"}`)},
		"commit":                {release(`{"n":1,"commit":"--upload-pack=x"}`)},
		"release 0":             {file("apps/blog/releases/0.json", `{"n":0}`)},
		"pack":                  {file("apps/blog/repo.pack/000000", "no pack")},
		"pack in the middle":    {file("apps/blog/repo.pack/000001", "PACK")},
		"too deep":              {file("apps/blog/data/"+strings.Repeat("d/", 300)+"x", "")},
		"after the end":         {file("end.json", theEnd), file("apps/blog/data/x", "")},
		"an app that is not in": {file("end.json", `{"apps":["blog","shop"]}`)},
		"a bad name":            {file("apps/../app.json", theApp)},
	} {
		dir, _, err := unpacked(v, around(t, items...), Key{}, "", plenty)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		filepath.WalkDir(top, func(path string, d fs.DirEntry, _ error) error {
			if d.Name() == "evil" || d.Name() == "post-receive" {
				t.Errorf("%s: there is %s", name, path)
			}
			return nil
		})
		if apps, err := v.Apps(); len(apps) > 0 || err != nil {
			t.Errorf("%s: %v, %v", name, apps, err)
		}
		os.RemoveAll(dir)
	}
	for name, header := range map[string]string{
		"newer": `{"format":99,"apps":["blog"]}`, "older": `{"format":0,"apps":["blog"]}`, "no app": `{"format":1,"apps":[]}`,
		"bad name": `{"format":1,"apps":["../x"]}`, "no JSON": `x`,
	} {
		if _, err := Open(bytes.NewReader(packed(t, file("backup.json", header))), Key{}, plenty); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := unpacked(v, around(t, file("apps/blog/data/x", "fine")), Key{}, "", plenty); err != nil {
		t.Errorf("one without a mistake: %v", err)
	}
}

// What is larger than the disk is not written to its end, however small it is when compressed.
func TestBomb(t *testing.T) {
	v := newVolume(t, t.TempDir())
	const limit = 10 << 20
	zeros := around(t, file("apps/blog/data/zeros", strings.Repeat("\x00", limit+1)))
	if len(zeros) > limit/100 {
		t.Fatalf("%d bytes are no bomb", len(zeros))
	}
	if _, _, err := unpacked(v, zeros, Key{}, "", limit); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many bytes: %v", err)
	}
	var many []item
	for i := range 1100 {
		many = append(many, file(fmt.Sprintf("apps/blog/data/%d", i), ""))
	}
	if _, _, err := unpacked(v, around(t, many...), Key{}, "", plenty); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many files: %v", err)
	}
	big := file("apps/blog/app.json", `{"id":"`+strings.Repeat("x", maxFacts)+`"}`)
	if _, _, err := unpacked(v, packed(t, file("backup.json", theHeader), big), Key{}, "", plenty); err == nil {
		t.Error("large facts are read into memory")
	}
	huge := item{tar.Header{Typeflag: tar.TypeReg, Name: "apps/blog/data/huge", Size: 1 << 60, Mode: 0o644}, ""}
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	must(t, err)
	w := tar.NewWriter(z)
	for _, i := range []item{file("backup.json", theHeader), file("apps/blog/app.json", theApp), huge} {
		if i.Size == 0 {
			i.Size = int64(len(i.content))
		}
		must(t, w.WriteHeader(&i.Header))
		io.WriteString(w, i.content)
	}
	must(t, z.Close())
	if _, _, err := unpacked(v, out.Bytes(), Key{}, "", plenty); !errors.Is(err, ErrTorn) {
		t.Errorf("a huge file without content: %v", err)
	}
}

// A whole server comes back. If that is cut off at any point after the one step that makes it happen,
// the next call ends it.
func TestServer(t *testing.T) {
	v := newVolume(t, t.TempDir())
	keys := &access.Keys{Dir: filepath.Join(v.Root, "ssh"), Volume: v, Log: v.Log}
	const line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2x06GtMsw5JaRXstz6zoFZBTsTQ15iRTNtokefzvk alice@laptop"
	const other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQacdIYnxN1Wz2I2Q0LRDWxBBxsC/fQ+tHYDtb/N7kK guest@laptop"
	_, err := keys.Add(line, access.Adding{Name: "alice"})
	must(t, err)
	_, err = keys.Add(other, access.Adding{Name: "guest", Role: access.Guest})
	must(t, err)
	rights := access.Rights{Keys: keys}
	for _, name := range []string{"blog", "shop"} {
		app, err := v.Create(name)
		must(t, err)
		must(t, rights.Grant(app, "guest", access.Deploy))
		must(t, os.WriteFile(app.Data()+"/name", []byte(name), 0o644))
	}
	_, _, err = access.Tokens{Keys: keys}.Create(access.Token{Name: "ci", Owner: "guest", Can: access.Deploy, Expires: time.Now().Add(time.Hour)})
	must(t, err)
	must(t, os.MkdirAll(v.Root+"/certs/acme", 0o700))
	must(t, os.WriteFile(v.Root+"/certs/acme/a.example.json", []byte("{}"), 0o600))
	must(t, os.WriteFile(v.Root+"/ssh/host_ed25519", []byte("host key"), 0o600))
	content := written(t, v, What{}, Lock{})

	to := newVolume(t, t.TempDir())
	there := &access.Keys{Dir: filepath.Join(to.Root, "ssh"), Volume: to, Log: v.Log}
	dir, u, err := unpacked(to, content, Key{}, "", plenty)
	must(t, err)
	if apps, err := to.Apps(); len(apps) > 0 || err != nil {
		t.Errorf("before the commit: %v, %v", apps, err)
	}
	must(t, Commit(to, dir, u, true))
	// cut off after one app
	must(t, os.Rename(filepath.Join(folder(to), "apps", "blog"), filepath.Join(to.Root, "apps", "blog")))
	settled, err := Settle(to, there)
	must(t, err)
	if !settled.HostKey || !slices.Equal(settled.Apps, []string{"shop"}) {
		t.Errorf("settled: %+v", settled)
	}
	if again, err := Settle(to, there); err != nil || len(again.Apps) > 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	was, err := keys.Export()
	must(t, err)
	is, err := there.Export()
	must(t, err)
	if fmt.Sprint(is) != fmt.Sprint(was) {
		t.Errorf("access:\n%v\nwant:\n%v", is, was)
	}
	for _, name := range []string{"blog", "shop"} {
		app, err := to.App(name)
		must(t, err)
		if got, err := os.ReadFile(app.Data() + "/name"); string(got) != name || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		before, _ := v.App(name)
		want, _ := before.Identity()
		if got, err := app.Identity(); got != want || err != nil {
			t.Errorf("identity of %s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"certs/acme/a.example.json", "ssh/host_ed25519"} {
		if info, err := os.Stat(filepath.Join(to.Root, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Somebody who is here already keeps their keys and role, and a token of another person of that name
// does not work.
func TestPeopleWhoAreHere(t *testing.T) {
	v := newVolume(t, t.TempDir())
	keys := &access.Keys{Dir: filepath.Join(v.Root, "ssh"), Volume: v, Log: v.Log}
	_, err := keys.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2x06GtMsw5JaRXstz6zoFZBTsTQ15iRTNtokefzvk x", access.Adding{Name: "alice"})
	must(t, err)
	here, err := keys.Import(access.Export{
		Keys: []access.ExportedKey{{File: "alice", Line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQacdIYnxN1Wz2I2Q0LRDWxBBxsC/fQ+tHYDtb/N7kK y"}},
		Tokens: []access.Token{{
			ID: "abcdefgh", Name: "ci", Owner: "alice", Can: access.Manage, SHA256: strings.Repeat("0", 64), Expires: time.Now().Add(time.Hour),
		}},
	})
	must(t, err)
	list, err := keys.List()
	must(t, err)
	tokens, err := access.Tokens{Keys: keys}.List("")
	must(t, err)
	if !slices.Equal(here, []string{"alice"}) || len(list) != 1 || len(tokens) != 0 {
		t.Errorf("here %v, keys %v, tokens %v", here, list, tokens)
	}
}

// Where the file system shares blocks, all files are of one moment: what changes after that is not in
// the backup.
func TestSnapshot(t *testing.T) {
	for _, kind := range []string{"xfs", "btrfs"} {
		t.Run(kind, func(t *testing.T) {
			v := newVolume(t, rig.Disk(t, kind))
			app, err := v.Create("blog")
			must(t, err)
			must(t, os.MkdirAll(app.Data()+"/d", 0o755))
			must(t, os.WriteFile(app.Data()+"/d/f", []byte("before"), 0o640))
			must(t, os.Symlink("f", app.Data()+"/d/l"))
			home, err := os.OpenRoot(app.Dir())
			must(t, err)
			defer home.Close()
			w := newWriter(io.Discard)
			files, done, how, err := Maker{Volume: v}.snapshot(t.Context(), w, app, home)
			must(t, err)
			defer done()
			must(t, os.WriteFile(app.Data()+"/d/f", []byte("after"), 0o640))
			got, err := files.ReadFile("data/d/l")
			if how != Snapshot || string(got) != "before" || err != nil {
				t.Errorf("%s: %q, %v", how, got, err)
			}
		})
	}
}
