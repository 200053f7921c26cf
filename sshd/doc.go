// Package sshd is the SSH server that people push to and run commands on. It authenticates each
// session and passes it on.
//
// Authentication uses only public keys, which are looked up in [Keys]; the SSH user name is
// ignored. A session either runs a git service for an app, through [Git], or a line of the command
// table, through [Verbs]. There is no shell, no subsystem and no forwarding, and no text from a
// client reaches a shell.
//
// The package does not know apps, pushes or commands; its caller brings those. It stores nothing on
// disk.
//
// golang.org/x/crypto/ssh and github.com/gliderlabs/ssh implement the protocol: RFC 4252
// (authentication) and RFC 4254 (sessions). This package adds limits: auth.go for authentication,
// clientconn.go for the number and the deadlines of connections, channel.go for the requests of a
// session, command.go for its command line.
package sshd
