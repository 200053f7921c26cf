package runtime

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"paas/runtime/health"
	"paas/say"
)

// subject is a process as its health checks see it.
type subject struct {
	*member
	Process
}

func (s subject) Name() string { return s.name }

// Listening is where the process listens, where the engine can tell.
func (s subject) Listening() []string {
	if p, ok := s.Process.(interface{ Listening() []string }); ok {
		return p.Listening()
	}
	return nil
}

// Run runs a check's command in the environment of the process. Its error ends with the last line
// that the command printed.
func (s subject) Run(ctx context.Context, argv []string) error {
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 0, 4<<10)
	spec := s.spec()
	spec.Type, spec.Argv, spec.Out = "check", argv, bounded
	if _, port, err := net.SplitHostPort(s.Addr()); err == nil {
		spec.Port, _ = strconv.Atoi(port)
	}
	err := s.in.home.rt.runToEnd(ctx, spec, time.Second)
	bounded.Close()
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); err != nil && ctx.Err() == nil && lines[len(lines)-1] != "" {
		return fmt.Errorf("%w: %s", err, say.Plain(lines[len(lines)-1], 200))
	}
	return err
}

// runToEnd runs a process that is to end by itself, and says how it did; the end of ctx ends it.
func (rt *Runtime) runToEnd(ctx context.Context, spec Spec, grace time.Duration) error {
	p, err := rt.start(spec)
	if err != nil {
		return err
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		p.Stop(grace)
		return context.Cause(ctx)
	}
}

// keepChecking makes the liveness and readiness checks of a process that serves, until it ends or is
// stopped.
func (m *member) keepChecking(ctx context.Context, p Process) {
	h := m.in.home
	for _, c := range m.in.file.Checks[m.Type] {
		var changed func(error)
		switch c.Type {
		case health.Liveness:
			changed = func(err error) { h.post(func() { m.fell(p, err) }) }
		case health.Readiness:
			changed = func(err error) { h.post(func() { m.fits(p, err) }) }
		default:
			continue
		}
		go c.Keep(ctx, subject{m, p}, changed)
	}
}

// serves says whether p is the member's process and runs; what a check says of one that has died, or is being
// ended, comes too late.
func (m *member) serves(p Process) bool {
	return m.mine() && m.current() == p && (m.status.State == string(Running) || m.status.State == unready)
}

// fell ends a process that fails its liveness check; its end has it started anew.
func (m *member) fell(p Process, err error) {
	if !m.serves(p) || err == nil {
		return
	}
	h := m.in.home
	if d := h.proving(m.in); d != nil {
		d.fail(m, err)
		return
	}
	h.log.Warn("not alive; starting it anew", "process", m.place.String(), "release", m.in.n, "err", err)
	m.reason = err
	m.status.State, m.status.Reason, m.status.Since = stopping, err.Error(), time.Now().UTC()
	h.route()
	h.saveProcesses()
	grace := h.grace()
	h.stopping.Go(func() { p.Stop(grace) })
}

// fits takes a process out of the traffic, or puts it back.
func (m *member) fits(p Process, err error) {
	if !m.serves(p) || m.unfit == (err != nil) {
		return
	}
	if d := m.in.home.proving(m.in); d != nil && err != nil {
		d.fail(m, err)
		return
	}
	m.unfit = err != nil
	m.status.State, m.status.Reason = string(Running), ""
	if m.unfit {
		m.status.State, m.status.Reason = unready, err.Error()
	}
	m.status.Since = time.Now().UTC()
	m.in.home.route()
	m.in.home.saveProcesses()
}

const unready = "unready" // the state of a process that runs and fails its readiness check
