// Package router is the HTTP reverse proxy in front of the apps. It sends each request to a process
// of the app that its Host header names, and it can replace an app's processes without a failed
// request.
//
// The caller says where each app's processes listen (Set, Remove) and learns when the previous ones
// are no longer in use. The router knows addresses and one State per app. It knows nothing about
// processes, releases, the volume or configuration.
//
//	client -> accept  ->  clientConn -> hosts -> app -> backend -> connPool -> process
//	          limits      reads         finds    holds  counts     keeps idle
//	          the number  requests,     the app  while  requests   connections
//	          of client   enforces               there  in flight
//	          conns       timeouts               is no
//	                                             backend
//
// Switching:
//
//   - Set is atomic. Requests in flight finish on the old processes, new ones go to the new
//     processes, clients keep their connections and no request fails. A process in both routes is
//     not disturbed.
//   - Websockets and event streams on an old process end after DrainTimeout, with a proper close.
//   - Sleep puts an app to sleep only if it is unused. Check and switch are one step, so no request
//     can reach a process that is about to be stopped.
//
// Choosing a process:
//
//   - A request goes to the process with the fewest requests in flight, including websockets and
//     event streams; among equals, at random. For a second after a process has refused a
//     connection, the others are preferred.
//   - A request for a starting app waits, up to HoldMax requests and HoldTimeout. A request for an
//     app that is down gets 503 at once. A request for a sleeping app wakes it and waits up to
//     WakeTimeout.
//   - A request is retried only if the app cannot have acted on it: the connection was refused (any
//     method), or an idle connection was closed (idempotent methods without a body). It is retried
//     on another process if there is one.
//   - Nothing is sent on a new connection until Dial has confirmed that it leads to the app.
//   - An app always leaves at least a quarter of the free connections to other apps.
//
// Forwarding:
//
//   - Header names, their order, reason phrases and request targets are forwarded byte for byte.
//     Hop-by-hop fields (RFC 9110 section 7.6.1) are removed. A response without a Date gets one.
//   - X-Forwarded-* and X-Real-Ip from clients are replaced or removed. Those of TrustedProxies are
//     believed and extended. A router in front of this one (Greet) is believed as it is.
//   - A request that two servers could interpret differently gets 400, and its connection closes.
//   - A Set-Cookie that would give the cookie to all apps below Domain loses its Domain attribute.
//   - Responses are streamed. A client that closes its side after its request still gets its
//     response, unless the app is silent for HalfCloseTimeout.
//   - If one side of a websocket closes or dies, the other is closed in bounded time.
//   - A slow client occupies only its own connection, and only within the timeouts.
//
// HTTPS:
//
//   - A second door has TLS, with the caller's certificates. Visitors of the plain door are sent to
//     it as soon as their host has a certificate, except by apps that do not want that.
//   - A request for another app than the one that the TLS handshake named gets 421.
//   - A client that speaks plain HTTP there is told to use https://.
//
// The router speaks HTTP/1.0 and 1.1 (RFC 9110, RFC 9112), and HTTP/2 (RFC 9113) with clients that
// choose it in the TLS handshake. Then net/http reads and writes the frames, and each stream is an
// exchange like any other. With an app whose Route says so it speaks HTTP/2 without TLS.
package router
