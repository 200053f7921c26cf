//go:build !linux

package rig

import "errors"

func mountSmall(string) error { return errors.New("only on Linux") }
func unmount(string)          {}
