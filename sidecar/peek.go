package sidecar

import (
	"context"
	"fmt"

	"paas/remote"
	"paas/volume"
)

// Peek returns the head of the app's source, and changes nothing. It is for a person who has just
// set it.
func (s *Sidecar) Peek(ctx context.Context, app volume.App) (remote.Head, error) {
	u, err := s.subjectOf(app.Name)
	if err == nil && u == nil {
		err = fmt.Errorf("%s follows no repository", app.Name)
	}
	if err != nil {
		return remote.Head{}, err
	}
	return s.ask(ctx, *u)
}
