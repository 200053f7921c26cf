//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"paas/lab/proc"
)

// program is the name of what the process runs.
func program(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// tenant is a process that a server of the volume under test has started, or what that started in turn.
type tenant struct {
	pid  int
	life string // of the server: which of its starts
	run  string // which process or build step: "blog.v7.web.1..."
	env  map[string]string
}

// arguments are what the process was started with.
func arguments(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// ofServer are the processes of the server itself: it, its guard, its hooks; not the commands that people give beside it.
func ofServer(binary string) (pids []int) {
	for _, children := range proc.Children() {
		for _, pid := range children {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			first, rest, _ := strings.Cut(arguments(pid), " ")
			second, _, _ := strings.Cut(rest, " ")
			if exe == binary && (second == "serve" || second == "guard" || strings.HasSuffix(first, "-receive")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// mark is what the marker of the volume at root begins with: see package child.
func mark(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:8]) + "/"
}

// tenants are all there are on this machine, whoever their parent is: those that carry the server's marker.
func tenants(root string) []tenant {
	mark := mark(root)
	var all []tenant
	for _, pids := range proc.Children() {
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil {
				continue
			}
			t := tenant{pid: pid, env: map[string]string{}}
			for entry := range strings.SplitSeq(string(text), "\x00") {
				name, value, _ := strings.Cut(entry, "=")
				t.env[name] = value
			}
			if of, ok := strings.CutPrefix(t.env["PAAS_RUN"], mark); ok {
				t.life, t.run, _ = strings.Cut(of, "/")
				all = append(all, t)
			}
		}
	}
	return all
}

// progress goes to standard error; standard output is the report alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
