package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const repository = "../.."

// release builds a release of this tree for linux/amd64, once, and returns its folder.
func release(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: building a release takes a minute or more")
	}
	for _, program := range []string{"git", "dpkg-deb", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIP: %v", err)
		}
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var built = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(work, "first")
	return dir, build(repository, dir)
})

func build(tree, out string) error {
	cmd := exec.Command(filepath.Join(tree, "scripts", "release"), "--out", out, "linux/amd64")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// work is the folder of all tests here.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "paas-release"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(work)
	os.Exit(status)
}

// A commit that is built again, in another folder, gives the same files byte for byte.
func TestReproducible(t *testing.T) {
	first := release(t)
	tree, second := filepath.Join(work, "copy"), filepath.Join(work, "second")
	if out, err := exec.Command("cp", "-a", repository, tree).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := build(tree, second); err != nil {
		t.Fatal(err)
	}
	if one, two := sums(t, first), sums(t, second); one != two {
		t.Errorf("two builds differ:\n%s\n%s", one, two)
	}
	cmd := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	cmd.Dir = second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v: %s", err, out)
	}
}

func sums(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A static binary needs no other file of the machine, not even its loader.
func TestBinaryIsStatic(t *testing.T) {
	f, err := elf.Open(filepath.Join(release(t), "paas-linux-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v", p.Type)
		}
	}
}

// permitted are licences that let us give away what is built from the module under Apache-2.0.
// MPL-2.0 asks only that changed files of that module stay open.
var permitted = []string{
	"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MPL-2.0",
}

// choice has modules with a choice of licences, and the one we take.
var choice = map[string]string{"kernel.org/pub/linux/libs/security/libcap/psx": "BSD-3-Clause"}

// The bill of materials names each module that is built in, with a licence that permits it, and
// licenses.txt has its text.
func TestLicences(t *testing.T) {
	dir := release(t)
	text, err := os.ReadFile(filepath.Join(dir, "paas.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		Components []struct {
			Name, Version string
			Evidence      struct {
				Licenses []struct{ License struct{ ID string } }
			}
		}
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	licences, err := os.ReadFile(filepath.Join(dir, "licenses.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range bill.Components {
		if c.Name == "std" {
			continue
		}
		has := []string{choice[c.Name]}
		if has[0] == "" {
			has = nil
			for _, l := range c.Evidence.Licenses {
				has = append(has, l.License.ID)
			}
		}
		if len(has) == 0 || slices.ContainsFunc(has, func(id string) bool { return !slices.Contains(permitted, id) }) {
			t.Errorf("%s: licence %q", c.Name, has)
		}
		_, own, ok := strings.Cut(string(licences), "======== "+c.Name+" "+c.Version+"\n")
		own, _, _ = strings.Cut(own, "\n========")
		if !ok || !regexp.MustCompile(`(?i)copyright|license`).MatchString(own) {
			t.Errorf("licenses.txt has no text for %s %s", c.Name, c.Version)
		}
	}
	out, err := exec.Command("go", "version", "-m", filepath.Join(dir, "paas-linux-amd64")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)`).FindAllStringSubmatch(string(out), -1) {
		if !strings.Contains(string(text), `"name": "`+line[1]+`"`) || !strings.Contains(string(text), line[2]) {
			t.Errorf("the bill of materials lacks %s %s", line[1], line[2])
		}
	}
}

// The package has a man page for each command of the help, and completion.
func TestManPages(t *testing.T) {
	dir := release(t)
	files := packaged(t, dir)
	out, err := exec.Command(filepath.Join(dir, "paas-linux-amd64"), "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^  ([a-z:]+)`).FindAllStringSubmatch(string(out), -1)
	if len(commands) < 50 {
		t.Fatalf("the help has %d commands", len(commands))
	}
	for _, c := range commands {
		page := unzip(t, files["./usr/share/man/man1/paas-"+c[1]+".1.gz"])
		if c[1] != "help" && !strings.Contains(page, ".SH NAME\npaas-"+c[1]+" - ") {
			t.Errorf("no man page for %s: %.80q", c[1], page)
		}
	}
	if page := unzip(t, files["./usr/share/man/man1/paas.1.gz"]); !strings.Contains(page, `\fB--domain\fP`) {
		t.Error("paas(1) does not explain the settings")
	}
	for _, path := range []string{
		"./usr/share/bash-completion/completions/paas", "./usr/share/zsh/vendor-completions/_paas",
		"./usr/share/fish/vendor_completions.d/paas.fish",
	} {
		if !bytes.Contains(files[path], []byte("__complete")) {
			t.Errorf("%s completes nothing", path)
		}
	}
}

func unzip(t *testing.T, content []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// deb returns the path of the package.
func deb(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("packages: %v, %v", found, err)
	}
	return found[0]
}

// packaged returns the files of the package by path.
func packaged(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "--fsys-tarfile", deb(t, dir)).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(out))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
