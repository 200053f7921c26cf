// Package access stores the keys of the people who may connect, and the server's own key, by which
// they recognise it. It does not know the doors that use it, nor what a key may do.
//
// It owns one private directory (0700):
//
//	host_ed25519     the host key, OpenSSH PEM, 0600; created once, never replaced  HostKey
//	keys/<name>      a key that may connect: an authorized_keys line, 0600, with
//	                 "admin" in front for admins; added and removed, not changed    Keys
//	tmp/             files being written; leftovers are ignored                     both
package access
