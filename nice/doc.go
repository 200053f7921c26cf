// Package nice lowers the priority of processes for processors and disks. A process passes its
// priority on to what it starts. Only Linux is supported; elsewhere nothing happens.
package nice
