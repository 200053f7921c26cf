// Package ports connects to the programs of an app, and to no other program. A port proves nothing: any
// program of the machine may listen on one that is free. So each new connection is checked before a byte
// is sent on it. The package knows sockets, users and processes' open files, not apps or releases.
//
// The check asks the kernel (sock_diag(7)) who listens on the port. The sockets that could take a
// connection to the address that was dialed must all be the owner's, see [Owner]. A listening socket that
// no other user and no other program can join stays the only one for as long as it is open, and the kernel
// gives each socket a number that is never used again. So a connection that was opened after such a
// socket was seen, and while it was still there, is the owner's. That is one question of some microseconds
// per connection. A program of the same user can join a socket that has SO_REUSEPORT set; there the
// other end of each connection is looked for among the owner's open files.
//
// Sockets that listen on other addresses of the machine are no concern: they get no connection of ours, and
// an app must not be stopped by a neighbour that opens one.
package ports
