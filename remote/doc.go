// Package remote looks at and fetches from git repositories hosted elsewhere, inside this
// process: it runs neither git nor ssh, since the image it works in may have neither. It knows
// neither the volume nor apps, and decides nothing: when to look, what to do with a commit and
// which host key to trust is the caller's.
//
// # How it speaks
//
// To look is to ask one question, "where is this branch?", over a connection that is kept: protocol
// version 2's ls-refs (gitprotocol-v2(5)) over smart HTTP (gitprotocol-http(5)), ssh or git://
// (gitprotocol-pack(5)). That costs a fraction of a millisecond, however many references the
// repository has. A server that speaks only version 0 lists all it has; that list is read as it
// comes and never held.
//
// To fetch is to ask for that one commit without its history. The pack is checked as it arrives,
// indexed by go-git, and the commit is there only once all that its tree names is, and git would take
// it from a push (transfer.fsckObjects).
//
// Why not go-git's Remote: it speaks version 0 alone, holds every reference in memory, finds its
// transports in a table that is global to the process, and writes a pack without a limit.
//
// # What it does not speak
//
// Repositories of SHA-256 objects, "dumb" HTTP, certificates of ssh hosts, keys with a passphrase,
// SSH agents, submodules and Git LFS (the caller inspects the tree).
package remote
