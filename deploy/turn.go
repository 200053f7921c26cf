package deploy

import (
	"context"
	"errors"

	"paas/volume"
)

// Turn waits for the app's turn to deploy, as [volume.App.Turn] does. A process that died may have
// left a committed release behind: Turn waits for that too, because the next one starts from it.
func Turn(ctx context.Context, app volume.App, who string, waiting func(holder string)) (done func(), err error) {
	done, err = app.Turn(ctx, who, waiting)
	if err != nil {
		return nil, err
	}
	if err := Repair(app); err != nil {
		done()
		return nil, err
	}
	for _, n := range app.Numbers() {
		if n <= app.Live() || !app.Committed(n) || !app.Volume().Claimed(volume.RoleApp) {
			continue
		}
		if r, err := app.Release(n); err == nil && r.Settings.Mode == volume.InPlace {
			continue
		}
		patience, stop := context.WithTimeout(ctx, goLive)
		_, err := app.AwaitOver(patience, n)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			done()
			return nil, err
		}
	}
	return done, nil
}
