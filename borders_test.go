package main

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imports maps each package of the product to what it imports, without tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
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
	"paas/config", "paas/sshd", "paas/receiver", "paas/sidecar", "paas/router", "paas/watch", "paas/command/cli",
	"paas/engine/local", "paas/address", "paas/folder", "paas/notify",
}

// TestBorders holds what a package must not need, not even through others.
func TestBorders(t *testing.T) {
	all := imports(t)
	for _, border := range []struct{ from, not string }{
		{"command", "sshd receiver sidecar router runtime config engine/local command/cli"},
		{"runtime", "sshd command command/cli receiver sidecar deploy router config engine/local engine/keep"},
		{"engine", "runtime engine/keep engine/local builder command"},
		{"engine/keep", "runtime engine/local builder command"},
		{"receiver", "runtime router engine/local command sshd"},
		{"sidecar", "runtime router engine/local command sshd receiver"},
		{"deploy", "runtime router engine/local command sshd receiver sidecar"},
		{"router", "runtime engine/local command sshd receiver volume"},
		{"sshd", "command command/cli receiver runtime volume access"},
		{"access", "sshd command"},
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
	}
	for from, imported := range imports(t) {
		for _, to := range imported {
			if only, ok := allowed[to]; ok && !slices.Contains(only, from) {
				t.Errorf("%s imports %s", from, to)
			}
			standard := !strings.Contains(strings.Split(to, "/")[0], ".") && !strings.HasPrefix(to, "paas/")
			if from == "paas/volume" && !standard && to != "paas/durable" && to != "paas/nearest" {
				t.Errorf("the volume imports %s", to)
			}
			if strings.HasPrefix(to, "paas/lab") || to == "paas/rig" && from != "paas/engine/enginetest" || to == "paas/engine/enginetest" {
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
	}
}

// TestNoVerbUsesAnother holds the order of the files of package command: a file with rows is used by the
// table alone.
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
	config := types.Config{Importer: importer.Default(), Error: func(error) {}} // what others declare does not matter
	config.Check("paas/command", fset, files, info)
	for use, object := range info.Uses {
		from, to := fset.Position(use.Pos()).Filename, fset.Position(object.Pos()).Filename
		if object.Pkg() != nil && object.Pkg().Path() == "paas/command" && rows[to] && from != to && !strings.HasSuffix(object.Name(), "Rows") {
			t.Errorf("%s uses %s of %s", from, object.Name(), to)
		}
	}
}
