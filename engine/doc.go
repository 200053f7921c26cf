// Package engine is the seam between the runtime, which decides what should run and when, and an
// engine, which makes builds and runs processes. It has the interface and the values that cross it,
// and no code that runs anything.
//
// Everything that crosses the seam could cross a socket: plain values, and streams. No value names a
// path of the server: an [Image] says which folder of which build a process runs in, and the
// environment names folders by [Tree], [Data] and [Cache]. The engine knows where they are.
//
// What is the same for every engine stays above the seam: health checks, the two phases, routing,
// scaling, sleep, cron, the environment, and command lines of a Procfile. Restarts and their
// backoff are behind it.
package engine
