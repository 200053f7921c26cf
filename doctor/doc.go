// Package doctor finds out what is wrong with a server's machine: its names, ports, clock, kernel, git
// and file modes. It changes nothing. It knows neither the server's settings nor its commands: the
// caller says what to look at, and adds the remedies that name them.
package doctor
