// Package sshd is the SSH door of a server that people push to. It answers two questions about
// each session: who are you, and what do you want.
//
// Who you are is the public key that you proved to hold, looked up in [Keys]; the SSH user name
// decides nothing. What you want is either a git service on an app, handed to
// [Git], or a line of the command table, handed to [Verbs]. There is no shell, no subsystem and no
// forwarding of any kind, and no text from a client reaches a shell.
//
// The package does not know what an app is, how a push becomes a release, or which verbs exist;
// the caller brings those. It keeps nothing on disk.
//
// The protocol is RFC 4252 (authentication) and RFC 4254 (sessions), by golang.org/x/crypto/ssh
// and github.com/gliderlabs/ssh; the guards around them are in this package: auth.go for the
// identity, guest.go for the limits and deadlines of a connection, room.go for its place in line,
// channel.go for what a session may ask, command.go for the words it may say.
package sshd
