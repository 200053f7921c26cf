// Package ports connects to the programs of an app, and to no other program. A port proves nothing:
// any program of the machine may listen on a free one. So the package checks each new connection
// before it is used. It knows sockets, users and the open files of processes, not apps or releases.
//
// The check asks the kernel (sock_diag(7)) who listens on the port. All sockets that could get a
// connection to the dialed address must belong to the [Owner]. If no other program can listen
// beside a socket, it is the only one as long as it is open, and the kernel never reuses a socket's
// cookie. So a connection that was opened after such a socket was found, while it was open, leads
// to the owner. That takes one query of some microseconds per connection. A program of the same
// user can listen beside a socket with SO_REUSEPORT; then the check looks for the other end of each
// connection among the owner's open files.
//
// Sockets that listen on other addresses of the machine do not matter: they get none of our
// connections, and a neighbour that opens one must not stop an app.
package ports
