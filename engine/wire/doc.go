// Package wire lets an engine work in another process. [Serve] serves any engine over a connected
// unix socket, and [Client] is that engine for the process at the other end. Builds are the
// exception: the client's own process runs them.
//
// Both ends send frames, each with one gob value. A request may get several replies. Only the
// serving end sends descriptors: pipes for the streams of jobs and for logs, and sockets that it has
// dialed. Everything that the client sends may be wrong: that ends the connection, and nothing else.
// A client that does not read delays only what it asked for itself.
//
// The two ends may be of different versions. A field or call that one of them does not know is
// ignored or refused, so changes must only add.
package wire
