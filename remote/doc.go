// Package remote finds branches and tags in git repositories on other servers and fetches commits.
// It runs neither git nor ssh, because a container may have neither. It does not know the volume or
// apps. Its caller decides when to ask, what to do with a commit and which host keys to trust.
//
// # Protocol
//
// [Client.Head] asks one question over a kept connection, ls-refs of protocol version 2
// (gitprotocol-v2(5)), over smart HTTP (gitprotocol-http(5)), SSH or git:// (gitprotocol-pack(5)).
// It takes a fraction of a millisecond plus the network, however many references the repository
// has. Servers that speak only version 0 send all their references; that list is read as a stream.
//
// [Client.Fetch] fetches one commit without its history. The sizes of the pack and of each object
// are checked on arrival. go-git indexes the pack. The commit counts as fetched only when all its
// files are present and git would accept them in a push (transfer.fsckObjects).
//
// Not supported: SHA-256 repositories, dumb HTTP, SSH host certificates, keys with a passphrase,
// SSH agents and Git LFS. Submodules are fetched one by one, by the caller.
//
// # What go-git v6 can replace
//
// go-git v5 (5.19.3) speaks only version 0, holds all references in memory, keeps its transports in
// a global table and writes packs of any size. That is why this package has its own protocol code.
// go-git v6.0.0-beta.1 (2026-10-04) is the first release with a version 2 client (go-git pull
// requests 2227 to 2237): ls-refs with prefixes, fetch with a depth, fallback to version 0,
// redirects by git's rules, and transports that are values. Once v6.0.0 is final, about 1,100 lines
// can go:
//
//	pktline.go, session.go, v0.go,   plumbing/format/pktline, plumbing/protocol/packp
//	lsrefs.go                        and its sideband package
//	gitdaemon.go, smarthttp.go       plumbing/transport/git and plumbing/transport/http
//	ssh.go, without dialSSH          plumbing/transport/ssh
//
// The rest stays. As of that beta, v6 limits neither the size of a pack or an object (pack.go) nor
// the list of references, does not complete thin packs on disk (thin.go), and dials for each SSH
// session (sshpool.go).
package remote
