// Package logs keeps what processes print: bounded, rotated files, each line with its time, and the
// reading of them. It does not know whose the lines are.
package logs
