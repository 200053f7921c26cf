package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reload replaces the server by a new one, of the program that is at its path now, and blocks until
// the new one serves. If it cannot, the error says why, and the old one goes on. Reloads that come at
// once are done one after another. When ctx ends, Reload gives up.
func (k *Keeper) Reload(ctx context.Context) error {
	k.init()
	done := make(chan error, 1)
	select {
	case k.reloads <- reload{ctx, done}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return <-done
}

// reload does what r asks for, and returns the server that serves now.
func (k *Keeper) reload(ctx context.Context, old *server, r reload) *server {
	began := time.Now()
	notifyReloading()
	defer notify("READY=1")
	next, err := k.replace(ctx, old, r.ctx)
	r.done <- err
	if err != nil {
		k.Log.Error("no reload; the server goes on", "err", err)
		return old
	}
	k.Log.Info("reloaded", "took", time.Since(began).Round(time.Millisecond))
	return next
}

// replace starts a new server beside old and lets it take over. If it cannot, old goes on.
func (k *Keeper) replace(ctx context.Context, old *server, caller context.Context) (*server, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(caller, func() { cancel(context.Cause(caller)) })()
	program, err := open(k.path)
	if err != nil {
		return nil, err
	}
	next, err := k.launch(program, false, true)
	if err != nil {
		program.Close()
		return nil, fmt.Errorf("the new server does not start: %w", err)
	}
	freed := false
	err = k.proceed(ctx, next, func() error {
		freed = true
		old.tell(handover)
		_, err := old.await(ctx, free, k.FreeTimeout)
		select {
		case <-old.exited: // then there is nothing to wait for
			return nil
		default:
			return err
		}
	})
	if err != nil {
		next.kill()
		program.Close()
		if freed {
			old.tell(resume)
		}
		if errors.Is(err, context.Canceled) {
			err = errors.New("the reload was given up")
		}
		return nil, err
	}
	old.tell(leave)
	k.leaving = slices.DeleteFunc(k.leaving, func(s *server) bool {
		select {
		case <-s.exited:
			return true
		default:
			return false
		}
	})
	k.leaving = append(k.leaving, old)
	go k.seeOff(old)
	return next, nil
}

// seeOff waits until a server that leaves has ended.
func (k *Keeper) seeOff(s *server) {
	late := time.AfterFunc(k.LeaveTimeout, func() {
		k.Log.Error("the server that was replaced does not end; killing it", "after", k.LeaveTimeout)
		s.cmd.Process.Kill()
	})
	defer late.Stop()
	s.drain()
	s.program.Close()
	if s.err != nil {
		k.Log.Error("the server that was replaced ended", "err", s.err)
	}
}
