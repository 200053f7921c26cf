// Package local is the engine that builds and runs releases on this machine, as child processes of
// the server. It joins the rooms beside it to the runtime's seam: build makes, child starts, site
// serves what is only files.
package local
