// Package logs keeps what processes print: bounded, rotated files, each line with its time, and the
// reading of them, one or many at once. The files of a folder are called after the processes:
// web.1.log. It does not know what the processes are, nor how people like to see lines.
package logs
