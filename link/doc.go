// Package link connects the front with the roles behind it, when they are processes of their own. It
// knows nothing of routes, requests or the volume.
//
// Both ends know a key, which is in a file that only the roles can read. Neither end sends it, so
// who listens on the network does not learn it, and neither believes the other before it has proven
// to know the key: an app may connect to the port of a role, or take the port of a role that died.
// A connection begins like this:
//
//	front  "\x00paas link 1\n", a byte for the purpose, a nonce
//	role   a nonce, HMAC(key, "role", purpose, both nonces)
//	front  HMAC(key, "front", purpose, both nonces)
//
// The zero byte tells it from a request of HTTP, so both can come to one port. What follows is
// neither encrypted nor signed, unless it is private: the network between the roles must be the
// server's own. It is, by purpose:
//
//   - Requests: HTTP.
//   - Private: TLS 1.3, whose ends then prove that they know a second key, by a value that only this
//     connection has (RFC 9266). So nobody on the network can read it, and nobody is in between. It is
//     for private keys of certificates, on their way from the role that people talk to straight to
//     the front. The roles that run apps have the first key, but never the second.
//   - Follow: JSON, one message a line. Each end sends all values that it has published, and then
//     those that change. It sends something every few seconds, so the other notices when it hangs.
//     A front also sends messages, each once, such as the lines of requests that it has answered by
//     itself. While the role is away up to 256 KiB of them wait for it. Later ones are lost, and so are
//     those that are on their way when a connection breaks or a process ends.
package link
