// Package engine is the interface between the runtime, which decides what should run and when, and
// an engine, which builds commits and runs processes. It defines the interface and its values, and
// runs nothing itself.
//
// All values could pass through a socket: they are plain data and streams. What an engine is asked
// to do has no path of the server: an [Image] identifies a folder of a build, and an environment
// refers to folders by [Tree], [Data] and [Cache], also the one that a build returns. The engine
// knows where these folders are.
//
// The runtime does everything that is the same for every engine: health checks, the two phases,
// routing, scaling, sleep, cron, environments and the command lines of a Procfile. The engine
// restarts processes, with growing delays.
package engine
