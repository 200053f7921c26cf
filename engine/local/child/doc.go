// Package child runs commands with everything that they start in turn, and leaves nothing of them
// behind: not what called setsid, not what a dead parent left, and nothing when the server itself is
// killed. It knows commands and processes; not apps, builds or releases.
package child
