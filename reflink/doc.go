// Package reflink copies a folder whose files share their blocks with those of the copy, until one
// of them is written to. Btrfs and XFS can do so; most other file systems cannot.
package reflink
