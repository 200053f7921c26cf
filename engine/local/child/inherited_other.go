//go:build !linux

package child

func keepInherited() {}
