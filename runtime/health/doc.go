// Package health finds out whether a process may have traffic. It knows an address and a promise of
// the owner's, not what runs there.
package health
