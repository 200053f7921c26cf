// Package keeper starts a server, starts it again when it dies, and replaces it by a new one without
// a gap. The keeper is a small process that outlives its servers: it holds what they share, such as
// listening sockets and locks. It knows neither apps nor settings.
//
// # Protocol
//
// A server is started with one end of a pair of connected sockets as its only inherited file. On it
// both send messages, some with open files:
//
//	keeper   hello       what it holds for the server
//	server   prepared    what it wants to be held: it could serve, but does nothing yet
//	keeper   go          serve: no other server does anything but finish
//	server   serving     it accepts connections
//
// The server before it serves until then. Before go, the keeper sends it handover, and it answers
// free: it still serves requests, but starts and changes nothing. Once the new one serves, the old
// one is sent leave: it finishes what it has accepted and exits. If the new one fails before, the
// old one is sent resume and goes on.
//
// A server that cannot serve sends failed, with the reason, and exits. One that is sent stop ends in
// order, with all that the keeper has: it lets the sockets refuse connections. One that ends for any
// other reason leaves them to the next.
package keeper
