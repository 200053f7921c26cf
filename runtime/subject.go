package runtime

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"paas/engine"
	"paas/runtime/health"
	"paas/say"
)

// subject is a process for its health checks.
type subject struct {
	member *member
	proc   *proc
}

func (s subject) Name() string          { return s.member.name }
func (s subject) Addr() string          { return s.proc.place.Addr }
func (s subject) Done() <-chan struct{} { return s.proc.done }
func (s subject) Err() error            { return s.proc.Err() }

// Dial is as [health.Subject.Dial].
func (s subject) Dial(ctx context.Context, port int) (net.Conn, error) {
	if site := s.member.site; site != nil {
		return site.calls.Dial(ctx)
	}
	return s.member.in.loop.rt.Engine.Dial(ctx, s.proc.place, port)
}

// Listening lists where the process listens, if the engine can tell.
func (s subject) Listening() []string {
	return s.member.in.loop.rt.Engine.Listening(context.Background(), s.proc.place)
}

// Run runs a check's command beside the process. The error ends with the last line that the command
// printed.
func (s subject) Run(ctx context.Context, argv []string) error {
	command := engine.Command{Argv: argv, Max: 4 << 10}
	output, exit, err := s.member.in.loop.rt.Engine.Exec(ctx, s.proc.place, command)
	if err == nil {
		err = exit.Err()
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if last := lines[len(lines)-1]; err != nil && ctx.Err() == nil && last != "" {
		return fmt.Errorf("%w: %s", err, say.Plain(last, 200))
	}
	return err
}

// keepChecking makes the liveness and readiness checks of a process until it ends.
func (m *member) keepChecking(ctx context.Context, p *proc) {
	a := m.in.loop
	for _, c := range m.in.file.Checks[m.Type] {
		var changed func(error)
		switch c.Type {
		case health.Liveness:
			changed = func(err error) { a.post(func() { m.failLiveness(p, err) }) }
		case health.Readiness:
			changed = func(err error) { a.post(func() { m.setReadiness(p, err) }) }
		default:
			continue
		}
		go c.Keep(ctx, subject{m, p}, changed)
	}
}

// serves reports whether p is the process that serves. The result of a check that comes after the
// process has ended, or was told to, does not count.
func (m *member) serves(p *proc) bool {
	runs := m.status.State == string(Running) || m.status.State == unready
	return m.mine() && m.proc == p && !m.left && runs
}

// failLiveness has the engine restart a process that fails its liveness check.
func (m *member) failLiveness(p *proc, err error) {
	if !m.serves(p) || err == nil {
		return
	}
	a := m.in.loop
	if d := a.proving(m.in); d != nil {
		d.fail(m, p, err)
		return
	}
	a.log.Warn("not alive; restarting", "process", m.place.String(), "release", m.in.n, "err", err)
	m.status.State, m.status.Reason, m.status.Since = stopping, err.Error(), time.Now().UTC()
	a.route()
	a.saveProcesses()
	a.rt.Engine.Restart(context.Background(), p.place, err.Error())
}

// setReadiness takes a process out of the traffic if err is not nil, or puts it back.
func (m *member) setReadiness(p *proc, err error) {
	if !m.serves(p) || m.notReady == (err != nil) {
		return
	}
	if d := m.in.loop.proving(m.in); d != nil && err != nil {
		d.fail(m, p, err)
		return
	}
	m.notReady = err != nil
	m.status.State, m.status.Reason = string(Running), ""
	if m.notReady {
		m.status.State, m.status.Reason = unready, err.Error()
	}
	m.status.Since = time.Now().UTC()
	m.in.loop.route()
	m.in.loop.saveProcesses()
}

const unready = "unready" // state of a process that runs and fails its readiness check
