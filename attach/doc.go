// Package attach lets a command that runs in one process have its standard streams, its terminal
// and its exit status in another, over a connection between the two. It knows neither who is at the
// other end of the streams nor how the command is run.
//
// # The conversation
//
// All is in frames (package frame). The client says the words of the command and then who wants what
// run where; the server runs it. From then on each says what happens on its side, until the server
// says how the command ended and closes. A client that closes before that has hung up, and the server
// stops the command.
//
// Neither side holds more than a bounded amount of memory: output waits in the command until the
// client reads, and of the input only so much is under way as the server has room for (window), so
// that what comes behind it, a signal or the end of the connection, is not held up by a command that
// reads nothing.
package attach
