// Package cmdline turns a command line as a Procfile has it into what the kernel runs: an argument
// list, the program's file, an environment. It starts nothing.
package cmdline
