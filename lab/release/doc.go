// Package release tests what scripts/release builds: its files, and the Debian package on a fresh
// Debian with a real systemd.
package release
