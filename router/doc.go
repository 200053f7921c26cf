// Package router is the HTTP front door: it sends each request to the process that serves its
// host, to the least busy where there are several, and switches an app from one set of processes to
// the next without anybody noticing.
//
// It is for the runtime, which says through main where an app's live processes listen (Set,
// Remove) and learns in return when nobody uses the previous ones any more. It knows no process,
// release, volume or configuration, only names, addresses and a state to show where there is no
// address. It never asks; it is told.
//
//	client --> gate --> session --> host --> app ------> instance --> upstream --> process
//	           cap on   reads       parsed,  holds       counts the   a stack of
//	           conns    requests,   looked   while       requests     idle
//	                    timeouts    up       empty,      in flight    connections
//	                                         chooses
//
// What it promises:
//
//   - A switch is atomic. Requests in flight finish on the old processes, new ones go to the new
//     ones, clients keep their connections, and none fail. A process that is in both sets notices
//     nothing.
//   - A request goes to the process with the fewest in flight, websockets and event streams
//     included; among equals chance decides. A process that refuses connections is left alone for a
//     second, as long as there are others.
//   - A request for an app that is starting waits, within a cap and a deadline. One for an app that
//     is down is answered at once. One for an app that is asleep waits too, for as long as it may take
//     to wake up, and has it woken (Wake).
//   - An app is put to sleep (Sleep) only while nobody uses it, in one step: no request meets a process that
//     is about to be stopped.
//   - A request is sent a second time only where the app cannot have acted on it: nobody accepted
//     the connection (any method), or a kept connection turned out to be closed (idempotent
//     methods without a body). It goes to another process then, if there is one.
//   - Nothing is sent on a new connection before Dial has made sure that it leads to the app.
//   - What a client and an app say to each other arrives as it was written: names of headers, their
//     order, the reason phrase, the request target. What is between two neighbours (RFC 9110 section
//     7.6.1) stays there, and an answer without a Date gets one.
//   - A request that two servers could read in two ways is refused with 400, and its connection
//     closed.
//   - An answer is passed on as it comes. A client that closes its side after its request gets its
//     answer all the same, as long as the app is not silent for HalfCloseTimeout.
//   - One app leaves at least a quarter of the free connections to the others.
//   - Websockets and event streams of an old process get DrainTimeout, then a proper close.
//   - What a client says about its own origin (X-Forwarded-*, X-Real-Ip) is replaced.
//   - Where one side of a websocket has closed or died, the other is closed in bounded time.
//   - A slow client holds its own connection and nothing else for longer than the limits say.
//
// HTTP/1.0 and 1.1 only (RFC 9110, RFC 9112). The caller brings TLS with its Listener: requests that
// arrive on a *tls.Conn are announced to the app as https.
package router
