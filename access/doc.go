// Package access knows who may ask something of the server: the keys of people, and the server's own
// key, by which people know it. It does not know the doors that ask it, nor what a key may do.
//
// It owns one private directory (0700):
//
//	host_ed25519     the host key, OpenSSH PEM, 0600; made once, never replaced     HostKey
//	keys/<name>      one key that may enter: an authorized_keys line, 0600,
//	                 "admin" in front for admins; immutable, added and removed      Keys
//	tmp/             files being written; leftovers mean nothing and are not read   both
package access
