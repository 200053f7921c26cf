// Package keep is an engine's Fleet for engines that can start a process and see it end: it starts the
// processes of units, starts them again when they end, less and less often while they fail, and
// keeps what they printed last. It does not know what a process is.
package keep
