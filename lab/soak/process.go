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

// program returns the name of the process's program.
func program(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}

// appProcess is a process that a server of the tested volume started, or a descendant of one.
type appProcess struct {
	pid  int
	life string // identifies the server process that started it
	run  string // the process or build step: "blog.v7.web.1..."
	env  map[string]string
}

// arguments returns the process's command line.
func arguments(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " "))
}

// serverProcesses returns the server's own processes: it, its guard and its hooks, but not commands
// that people run.
func serverProcesses(binary string) (pids []int) {
	for _, children := range proc.Children() {
		for _, pid := range children {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
			first, rest, _ := strings.Cut(arguments(pid), " ")
			second, _, _ := strings.Cut(rest, " ")
			if exe == binary && (second == "serve" || second == "guard" || strings.HasSuffix(first,
				"-receive")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// runMarker returns the beginning of PAAS_RUN for the volume at root; see package child.
func runMarker(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:8]) + "/"
}

// appProcesses returns all processes on this machine with the server's marker, whoever their parent
// is.
func appProcesses(root string) []appProcess {
	mark := runMarker(root)
	var all []appProcess
	for _, pids := range proc.Children() {
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			if err != nil {
				continue
			}
			t := appProcess{pid: pid, env: map[string]string{}}
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

// progress prints to standard error; standard output has only the report.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
