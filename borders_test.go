package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"paas/command"
)

// imports maps each package of the product to what it imports, without tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	const format = `{{.ImportPath}} {{join .Imports " "}}`
	out, err := exec.Command("go", "list", "-f", format, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}

// TestOnlyMainImports holds the packages that main alone adapts to others.
func TestOnlyMainImports(t *testing.T) {
	for from, imported := range imports(t) {
		for _, to := range imported {
			if from != "paas" && slices.Contains(onlyMain, to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

var onlyMain = []string{
	"paas/config", "paas/sshd", "paas/web", "paas/receiver", "paas/sidecar", "paas/router", "paas/watch", "paas/command/cli",
	"paas/engine/local", "paas/address", "paas/folder", "paas/notify", "paas/certs", "paas/link", "paas/keeper",
}

// TestBorders holds what a package must not need, not even through others.
func TestBorders(t *testing.T) {
	all := imports(t)
	for _, border := range []struct{ from, not string }{
		{"command", "sshd receiver sidecar router runtime config engine/local command/cli"},
		{"runtime", "sshd command command/cli receiver sidecar deploy router config engine/local engine/keep"},
		{"engine", "runtime engine/keep engine/local builder command"},
		{"engine/keep", "runtime engine/local builder command"},
		{"engine/wire", "runtime engine/local engine/keep builder command"},
		{"receiver", "runtime router engine/local command sshd web"},
		{"sidecar", "runtime router engine/local command sshd receiver"},
		{"deploy", "runtime router engine/local command sshd receiver sidecar"},
		{"router", "runtime engine/local command sshd receiver volume"},
		{"sshd", "web command command/cli receiver runtime volume access"},
		{"keeper", "runtime router engine command volume config"},
		{"link", "router runtime command volume config"},
		{"web", "sshd command command/cli receiver runtime router volume access"},
		{"access", "sshd command"},
		{"backup", "runtime command sshd receiver sidecar deploy router config engine/local"},
		{"builder", "engine/local runtime command"},
		{"engine/local", "runtime command sshd receiver sidecar deploy router config"},
		{"formation", "runtime engine/local command"},
	} {
		needed := map[string]bool{}
		need(all, "paas/"+border.from, needed)
		for _, not := range strings.Fields(border.not) {
			if needed["paas/"+not] {
				t.Errorf("%s needs %s", border.from, not)
			}
		}
	}
}

func need(all map[string][]string, from string, needed map[string]bool) {
	for _, to := range all[from] {
		if !needed[to] {
			needed[to] = true
			need(all, to, needed)
		}
	}
}

// TestLibrariesStayBehindTheirPackage holds the libraries that one package is in front of.
func TestLibrariesStayBehindTheirPackage(t *testing.T) {
	allowed := map[string][]string{
		"github.com/spf13/cobra":    {"paas", "paas/command/cli"},
		"github.com/spf13/viper":    {"paas/config"},
		"github.com/gliderlabs/ssh": {"paas/sshd"},
		"filippo.io/age":            {"paas/backup"},

		"github.com/aws/aws-sdk-go-v2/aws":           {"paas/s3"},
		"github.com/aws/aws-sdk-go-v2/aws/signer/v4": {"paas/s3"},

		"github.com/mholt/acmez/v3":      {"paas/certs"},
		"github.com/mholt/acmez/v3/acme": {"paas/certs"},
	}
	for from, imported := range imports(t) {
		for _, to := range imported {
			if only, ok := allowed[to]; ok && !slices.Contains(only, from) {
				t.Errorf("%s imports %s", from, to)
			}
			standard := !strings.Contains(strings.Split(to, "/")[0], ".") && !strings.HasPrefix(to, "paas/")
			ofVolume := []string{"paas/durable", "paas/nearest", "golang.org/x/sys/unix"}
			if from == "paas/volume" && !standard && !slices.Contains(ofVolume, to) {
				t.Errorf("the volume imports %s", to)
			}
			rig := to == "paas/rig" && from != "paas/engine/enginetest"
			if rig || strings.HasPrefix(to, "paas/lab") || to == "paas/engine/enginetest" {
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
	}
}

// TestNoVerbUsesAnother holds the order of the files of package command: the table alone uses a file
// with rows.
func TestNoVerbUsesAnother(t *testing.T) {
	paths, err := filepath.Glob("command/*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	rows := map[string]bool{} // files that have some
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && strings.HasSuffix(d.Name.Name, "Rows") && d.Name.Name != "Rows" {
				rows[path] = true
			}
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	// What other packages declare does not matter.
	config := types.Config{Importer: importer.Default(), Error: func(error) {}}
	config.Check("paas/command", fset, files, info)
	for use, object := range info.Uses {
		from, to := fset.Position(use.Pos()).Filename, fset.Position(object.Pos()).Filename
		ours := object.Pkg() != nil && object.Pkg().Path() == "paas/command"
		if ours && rows[to] && from != to && !strings.HasSuffix(object.Name(), "Rows") {
			t.Errorf("%s uses %s of %s", from, object.Name(), to)
		}
	}
}

// TestNamesStayInDoors looks for names of verbs and of the server's settings in what other packages
// say: they return a problem and a [volume.Remedy].
func TestNamesStayInDoors(t *testing.T) {
	names := []string{`PAAS_[A-Z_]+`}
	for _, row := range command.Rows() {
		if name := row.About().Name; strings.Contains(name, ":") {
			names = append(names, name)
		}
	}
	pattern := regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
	for _, folder := range lower {
		paths, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(paths) == 0 {
			t.Errorf("no files in %s", folder)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				text, ok := n.(*ast.BasicLit)
				if !ok || text.Kind != token.STRING {
					return true
				}
				for _, name := range pattern.FindAllString(text.Value, -1) {
					if !slices.Contains(environment, name) {
						t.Errorf("%s: %s says %s", fset.Position(text.Pos()), folder, name)
					}
				}
				return true
			})
		}
	}
}

// lower are the packages below the doors that say something to people.
var lower = []string{
	"access", "attach", "backup", "builder", "builder/cmdline", "builder/tree", "deploy", "engine",
	"engine/keep", "engine/local", "engine/local/child", "engine/local/confine",
	"engine/local/firewall", "engine/local/limits", "engine/local/ports", "folder", "formation",
	"formation/appjson", "git", "logs", "notify", "receiver", "remote", "reserved", "router",
	"runtime", "runtime/cron", "runtime/health", "say", "sidecar", "site", "volume",
}

// environment are variables that apps and hooks find; no setting is called so.
var environment = []string{
	"PAAS_APP", "PAAS_RELEASE", "PAAS_RUN", "PAAS_COMMIT", "PAAS_HOOK_SOCKET", "PAAS_HOOK_TOKEN",
}
