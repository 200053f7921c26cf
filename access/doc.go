// Package access stores who may connect, by which keys and tokens, and decides what each may do. It
// also has the server's own key, by which people recognise it. It does not know the doors that ask.
//
// It owns one private directory (0700, files 0600):
//
//	host_ed25519         the host key, OpenSSH PEM; created once, never replaced    HostKey
//	keys/<name>[+<n>]    a key of a person: an authorized_keys line, with "admin"
//	                     or "guest" in front for those who are no members           Keys
//	tokens/<id>          a token: owner, limits, and the SHA-256 of the secret      Tokens
//	grants/<app>/<name>  what a person may do with the app of that identity;
//	                     without the folder, members do as in earlier versions      Rights
//	used/<key or token>  empty; its time is that of the last use                    all
//	lock                 held (flock) by a writer                                   all
//	tmp/                 files being written; leftovers are ignored                 all
//
// An earlier version of paas reads the keys of admins and members, and refuses all others.
package access
