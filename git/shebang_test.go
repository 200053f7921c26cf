package git

import (
	"slices"
	"strings"
	"testing"
)

func TestCarriageReturns(t *testing.T) {
	r := newRepo(t)
	var entries []string
	for name, e := range map[string]struct{ mode, content string }{
		"bin/":  {"040000", ""},
		"crlf":  {"100755", "#!/bin/sh\r\necho\r\n"},
		"env":   {"100755", "#!/usr/bin/env node\r\n"},
		"copy":  {"100755", "#!/bin/sh\r\necho\r\n"},
		"lf":    {"100755", "#!/bin/sh\necho\r\n"},
		"not":   {"100644", "#!/bin/sh\r\necho\r\n"}, // not executable
		"text":  {"100755", "hello\r\n"},
		"cut":   {"100755", "#!/bin/sh\r"},
		"empty": {"100755", ""},
		// beyond what the kernel reads
		"far":     {"100755", "#!" + strings.Repeat("x", 300) + "\r\n"},
		"binary":  {"100755", "\x7fELF" + noise(2<<20)},
		"tail":    {"100755", "#!/bin/sh\n" + strings.Repeat("x\r\n", 1<<20)},
		"link":    {"120000", "#!/bin/sh\r\n"},
		"windows": {"100755", "\ufeff#!/bin/sh\r\n"}, // not a script for the kernel
	} {
		if e.mode == "040000" {
			entries = append(entries, "040000 tree "+
				tree(t, r, "100755 blob "+blob(t, r, "#!/bin/sh\r\n")+"\tdeploy")+"\tbin")
			continue
		}
		entries = append(entries, e.mode+" blob "+blob(t, r, e.content)+"\t"+name)
	}
	one := tree(t, r, entries...)
	i := new(Inspector)
	for _, test := range []struct {
		tree string
		want []string
	}{
		{one, []string{"bin/deploy", "copy", "crlf", "env"}},
		{one, []string{"bin/deploy", "copy", "crlf", "env"}}, // from the cache
		{tree(t, r, "040000 tree "+one+"\ta", "100644 blob "+blob(t, r, "x")+"\tb", "040000 tree "+
			one+"\tc"),
			[]string{"a/bin/deploy", "a/copy", "a/crlf", "a/env", "c/bin/deploy"}},
	} {
		o := r.Objects()
		s, err := i.Inspect(t.Context(), o, test.tree)
		o.Close()
		if err != nil || !slices.Equal(s.Scripts, test.want) {
			t.Errorf("%q %v", s.Scripts, err)
		}
	}
}
