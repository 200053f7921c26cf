package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"paas/access"
	"paas/command"
	"paas/config"
	"paas/keeper"
	"paas/volume"
)

// keeperSocket begins the names of the sockets where keepers take requests for a reload. The roles
// follow, for each role has one keeper.
const keeperSocket = "run/keeper-"

// reloadRow is paas reload, which replaces the running server without a gap.
func reloadRow(load func() (*config.Config, error)) command.Row {
	return command.Stream[struct{}, reloaded]{
		Head: command.Head{
			Name: "reload", Group: command.Operate, Needs: access.Anyone, Example: "--format json",
			Short: "replace the running server by a new one, of the program that is installed now, without a gap",
		},
		Run: func(c *command.Call, _ struct{}, events command.Teller[reloaded]) error {
			settings, err := load()
			if err != nil {
				return err
			}
			return reloadAll(c, newVolume(settings), events)
		},
		Text: func(p *command.Page) command.Teller[reloaded] { return reloadPage{p} },
	}
}

// reloaded is how the reload of a server ended.
type reloaded struct {
	Roles string `json:"roles"`
	Took  int64  `json:"took_ms"`
	Error string `json:"error,omitempty"`
}

type reloadPage struct{ *command.Page }

func (p reloadPage) Tell(r reloaded) (err error) {
	if r.Error == "" {
		_, err = fmt.Fprintf(p, "%s: reloaded in %d ms\n", r.Roles, r.Took)
	}
	return err
}

func (p reloadPage) Flush() error { return nil }

// reloadAll reloads each server on the volume, one after the other.
func reloadAll(c *command.Call, vol *volume.Volume, events command.Teller[reloaded]) error {
	paths, err := filepath.Glob(filepath.Join(vol.Root, keeperSocket+"*.sock"))
	if err != nil {
		return err
	}
	var errs []error
	found := false
	for _, path := range paths {
		name, _ := filepath.Rel(vol.Root, strings.TrimSuffix(path, ".sock"))
		conn, err := vol.Dial(c, name)
		if err != nil { // its keeper has gone
			continue
		}
		found = true
		r, err := askForReload(c, conn)
		if err != nil {
			return err
		}
		r.Roles = strings.ReplaceAll(strings.TrimPrefix(name, keeperSocket), "-", " ")
		if err := events.Tell(r); err != nil {
			return err
		}
		if r.Error != "" {
			errs = append(errs, fmt.Errorf("%s: not reloaded, the server goes on as it was: %s", r.Roles, r.Error))
		}
	}
	if !found {
		return fmt.Errorf("no server runs on %s; start one with paas serve", vol.Root)
	}
	return errors.Join(errs...)
}

// askForReload asks the keeper at the other end of conn for a reload, and blocks until that has ended.
// If ctx ends before, the keeper gives it up.
func askForReload(ctx context.Context, conn net.Conn) (r reloaded, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = io.WriteString(conn, "reload\n"); err == nil {
		err = json.NewDecoder(conn).Decode(&r)
	}
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case err != nil:
		return r, errors.New("the server ended during the reload")
	}
	return r, nil
}

// takeReloads reloads k's server for each connection that asks for it, until the listener closes.
func takeReloads(l net.Listener, k *keeper.Keeper, log *slog.Logger) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			log.Error("no request for a reload taken", "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go takeReload(conn, k)
	}
}

// takeReload does what the other end of conn asks for. If that hangs up, it gives up.
func takeReload(conn net.Conn, k *keeper.Keeper) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if line, err := in.ReadString('\n'); err != nil || line != "reload\n" {
		return
	}
	conn.SetReadDeadline(time.Time{})
	ctx, hungUp := context.WithCancel(context.Background())
	defer hungUp()
	go func() {
		in.ReadByte()
		hungUp()
	}()
	began := time.Now()
	r := reloaded{}
	if err := k.Reload(ctx); err != nil {
		r.Error = err.Error()
	}
	r.Took = max(1, time.Since(began).Milliseconds())
	json.NewEncoder(conn).Encode(r)
}
