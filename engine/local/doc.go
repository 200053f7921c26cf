// Package local is the engine that builds and runs releases on this machine, as child processes of
// the server. Restart and backoff come from package keep; child starts processes, confine, limits
// and firewall hold them, and ports tells whose program listens on a port.
//
// It adopts nothing: it ends what an earlier server left running before it starts anything.
package local
