package deploy

import (
	"context"
	"errors"
	"io"

	"paas/volume"
)

// Turn waits for the app's turn to deploy, as [volume.App.Turn] does. The next release starts from
// what is live, and a process that died may have left the app damaged, or a committed release on
// its way, or the files of watch mode changed: Turn repairs the app, waits for the release, and
// restores the live one.
func Turn(
	ctx context.Context, app volume.App, who string, waiting func(holder string),
) (done func(), err error) {
	done, err = app.Turn(ctx, who, waiting)
	if err != nil {
		return nil, err
	}
	err = errors.Join(app.Repair(), RepairStates(app))
	if err == nil {
		err = awaitCommitted(ctx, app)
	}
	if err != nil {
		done()
		return nil, err
	}
	Maker{App: app, Out: io.Discard}.restore(ctx)
	return done, nil
}

// awaitCommitted waits for releases whose makers died after they committed them.
func awaitCommitted(ctx context.Context, app volume.App) error {
	open, err := app.Open()
	if err != nil {
		return err
	}
	for _, n := range open {
		if !app.Committed(n) || !app.Volume().Claimed(volume.RoleApp) {
			continue
		}
		if r, err := app.Release(n); err == nil && r.OnlyFiles() {
			continue
		}
		if err := AwaitOver(ctx, app, n); err != nil {
			return err
		}
	}
	return nil
}

// AwaitOver waits until release n, which is committed, is live or over, but at most for [GoLive]. A
// release that is still on its way then is not an error.
func AwaitOver(ctx context.Context, app volume.App, n int) error {
	patience, stop := context.WithTimeout(ctx, GoLive)
	defer stop()
	_, err := app.AwaitOver(patience, n)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil
	}
	return err
}
