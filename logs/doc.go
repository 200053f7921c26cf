// Package logs stores what processes print in files of bounded size, each line with its time, and
// reads one or many of them at once. The files of a folder are named for the processes: web.1.log.
// It does not know what the processes are, nor how lines are displayed.
package logs
