package main

import (
	"context"
	"io"
	"strings"
	"time"

	"paas/access"
	"paas/command"
)

// runBackups makes the backups that are scheduled until ctx ends.
func (s *server) runBackups(ctx context.Context) error {
	const look = 30 * time.Second // the plan may change at any time
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		at, due, err := command.BackupDue(s.vol)
		if err == nil && due && !time.Now().Before(at) {
			err = command.RunPlan(&command.Call{
				Context: ctx, Server: s.server(), Caller: command.Caller{Identity: access.Local("server")},
				Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
			})
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("the server was not backed up", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
