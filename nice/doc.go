// Package nice has processes leave processors and disks to others. A process passes on to what it starts
// how nice it is. Off Linux nothing becomes nicer.
package nice
