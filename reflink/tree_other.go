//go:build !linux

package reflink

import (
	"context"
	"errors"
)

// Tree returns [errors.ErrUnsupported].
func Tree(_ context.Context, _, _ string) error { return errors.ErrUnsupported }
