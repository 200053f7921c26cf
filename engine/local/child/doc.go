// Package child runs commands together with everything that they start, and leaves no process
// behind: not one that called setsid, not an orphan, and none if the server itself is killed. It
// knows commands and processes, not apps, builds or releases.
package child
