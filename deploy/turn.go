package deploy

import (
	"context"
	"errors"

	"paas/volume"
)

// Turn waits for the app's turn to deploy, as [volume.App.Turn] does. A process that died may have
// left the app damaged, or a committed release behind: Turn repairs the one and waits for the other,
// because the next release starts from there.
func Turn(ctx context.Context, app volume.App, who string, waiting func(holder string)) (done func(), err error) {
	done, err = app.Turn(ctx, who, waiting)
	if err != nil {
		return nil, err
	}
	err = errors.Join(app.Mend(), Repair(app))
	if err == nil {
		err = settle(ctx, app)
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// settle waits for releases that somebody who died has committed.
func settle(ctx context.Context, app volume.App) error {
	open, err := app.Open()
	if err != nil {
		return err
	}
	for _, n := range open {
		if !app.Committed(n) || !app.Volume().Claimed(volume.RoleApp) {
			continue
		}
		if r, err := app.Release(n); err == nil && r.Settings.Mode == volume.InPlace {
			continue
		}
		patience, stop := context.WithTimeout(ctx, goLive)
		_, err := app.AwaitOver(patience, n)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}
