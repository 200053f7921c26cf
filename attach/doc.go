// Package attach connects the standard streams, terminal and exit status of a command in one
// process to another process. It knows neither the person at the other end nor how the command is
// run.
//
// # Protocol
//
// Everything is sent in frames (package frame). The client sends the words of the command and then
// a request; the server runs it. From then on each side sends what happens, until the server sends
// the exit status and closes the connection. If the client closes it before that, it has hung up,
// and the server stops the command.
//
// Both sides use a bounded amount of memory. Output waits in the command until the client reads.
// The client sends only as much input as the server has space for (window), so that a signal or the
// end of the connection is not stuck behind input that the command does not read.
package attach
