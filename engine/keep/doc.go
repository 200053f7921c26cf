// Package keep is the Fleet part of an engine, for engines that can start a process and see it end.
// It starts the processes of units, restarts them when they end, with growing delays if they fail,
// and keeps their last output. It does not know what a process is.
package keep
