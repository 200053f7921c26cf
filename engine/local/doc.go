// Package local is the engine that builds and runs releases on this machine, as child processes of
// this one: of the keeper, or, for what builds beside it, of the server. Package keep restarts
// processes, with backoff; child starts them; confine, limits and firewall restrict them; ports
// reports whose program listens on a port.
//
// It finds out how this machine can isolate apps when it is opened. It adopts nothing: it ends what
// an earlier server left running before it starts anything.
package local
