package git

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestCarriageReturns(t *testing.T) {
	r := newRepo(t)
	var entries []string
	for name, e := range map[string]struct{ mode, content string }{
		"bin/":    {"040000", ""},
		"crlf":    {"100755", "#!/bin/sh\r\necho\r\n"},
		"env":     {"100755", "#!/usr/bin/env node\r\n"},
		"copy":    {"100755", "#!/bin/sh\r\necho\r\n"},
		"lf":      {"100755", "#!/bin/sh\necho\r\n"},
		"not":     {"100644", "#!/bin/sh\r\necho\r\n"}, // nobody runs it by itself
		"text":    {"100755", "hello\r\n"},
		"cut":     {"100755", "#!/bin/sh\r"},
		"empty":   {"100755", ""},
		"far":     {"100755", "#!" + strings.Repeat("x", 300) + "\r\n"}, // the kernel does not see the end
		"binary":  {"100755", "\x7fELF" + noise(2<<20)},
		"tail":    {"100755", "#!/bin/sh\n" + strings.Repeat("x\r\n", 1<<20)},
		"link":    {"120000", "#!/bin/sh\r\n"},
		"windows": {"100755", "\ufeff#!/bin/sh\r\n"}, // no script at all, to the kernel
	} {
		if e.mode == "040000" {
			entries = append(entries, "040000 tree "+tree(t, r, "100755 blob "+blob(t, r, "#!/bin/sh\r\n")+"\tdeploy")+"\tbin")
			continue
		}
		entries = append(entries, e.mode+" blob "+blob(t, r, e.content)+"\t"+name)
	}
	h := commit(t, r, "x", tree(t, r, entries...))
	o := r.Objects()
	defer o.Close()
	want := []string{"bin/deploy", "copy", "crlf", "env"}
	for limit := range 6 {
		got, err := o.CarriageReturns(t.Context(), h, limit)
		if err != nil || !slices.Equal(got, want[:min(limit, len(want))]) {
			t.Errorf("%d: %q %v", limit, got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.CarriageReturns(ctx, h, 1); err == nil {
		t.Error("not ended")
	}
}
