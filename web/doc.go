// Package web is the HTTP server that people push to with a token. It authenticates each request
// and passes it on, as package sshd does for SSH. It does not know apps, pushes or the router; its
// caller brings those. It stores nothing on disk.
//
// The token is the password of HTTP's Basic authentication (RFC 7617); the user name is ignored. Of
// git's protocol (gitprotocol-http(5)) it serves the smart part: /APP/info/refs,
// /APP/git-upload-pack and /APP/git-receive-pack, and the same with /APP.git.
//
// SSH has a channel for errors and HTTP has none. So what the server says goes into the sideband of
// a push, before git's last packet, or is the body of an error before git starts: git prints both
// after "remote:".
package web
