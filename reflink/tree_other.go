//go:build !linux

package reflink

import (
	"context"
	"errors"
	"os"
)

// Tree returns [errors.ErrUnsupported].
func Tree(_ context.Context, _, _ string) error { return errors.ErrUnsupported }

// File is not supported here.
func File(from, to *os.File) error { return errors.ErrUnsupported }
