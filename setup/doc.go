// Package setup has the parts of the first steps on a new server: it asks a person questions, finds
// the SSH keys that already open the machine, and starts the server's systemd unit. It does not know
// the settings.
package setup
