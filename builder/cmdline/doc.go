// Package cmdline turns a command line of a Procfile into what the kernel runs: an argument list,
// the program's file and an environment. It starts nothing.
package cmdline
