// Package certs gets certificates from certificate authorities by ACME (RFC 8555), renews them in
// time, and serves them together with those that owners bring. It needs a private folder, a
// function that tells whose a name is, and a place to report the state to. It knows nothing of apps,
// the volume or the router.
//
// The caller says which names should have a certificate (Want). Each name has one of its own, except
// that a wildcard certificate serves the names below its domain. Work goes on in the background, so
// that neither a command nor a request waits for an authority. A handshake waits only for a name
// that is ours and has no certificate yet.
//
//   - Challenges: HTTP-01 (the caller's plain door asks Challenge), TLS-ALPN-01 (answered in the
//     handshake), and for wildcards DNS-01, by a program that the owner names.
//   - Renewal: when the authority says so (ARI, RFC 9773), which is also how it tells of a
//     revocation; otherwise when a third of the lifetime is left; always before the last sixth.
//     Below ten days these are half and a quarter.
//   - A failure is tried again later and later, so that limits of authorities are not used up. A
//     name without an address in DNS costs the authority no request.
//   - A name that is not ours is refused from memory, without a line in the log.
//
// The folder:
//
//	accounts/<authority>.json    the account and its key
//	acme/<name>.json             a certificate, its key, and which authority it comes from
//	own/<owner>.pem              what an owner has brought
package certs
