// Package health finds out whether a process can serve traffic. It knows the process's address and
// its owner's checks, but not what the process is.
package health
