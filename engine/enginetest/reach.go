package enginetest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"paas/engine"
	"paas/rig"
)

func followsLogs(t *testing.T, b *bench) {
	b.want(b.unit("echo one; sleep 0.2; echo two; exit 1", 1))
	p := b.running(1)
	logs, err := b.Engine.Logs(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if text, err := io.ReadAll(logs); string(text) != "one\ntwo\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func logsEnd(t *testing.T, b *bench) {
	b.want(b.unit("echo one; sleep 1000", 1))
	p := b.running(1)
	ctx, cancel := context.WithCancel(t.Context())
	logs, err := b.Engine.Logs(ctx, p, true)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	lines := bufio.NewReader(logs)
	if line, err := lines.ReadString('\n'); line != "one\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	now, err := b.Engine.Logs(t.Context(), p, false)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Close()
	if text, err := io.ReadAll(now); string(text) != "one\n" || err != nil {
		t.Errorf("without follow: %q, %v", text, err)
	}
	cancel()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func execs(t *testing.T, b *bench) {
	u := b.unit("sleep 1000", 1)
	u.Env["NAME"] = "shared"
	b.want(u)
	p := b.running(1)
	output, exit, err := b.Engine.Exec(t.Context(), p, engine.Command{Argv: shell("echo it is $NAME; exit 4"), Max: 7})
	if output != "shared\n" || err != nil {
		t.Errorf("%q, %v", output, err)
	}
	if want := (engine.Exit{Code: 4}); exit != want {
		t.Errorf("%+v", exit)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("too slow"))
	defer cancel()
	if _, _, err := b.Engine.Exec(ctx, p, engine.Command{Argv: shell("sleep 1000")}); rig.Message(err) != "too slow" {
		t.Error(err)
	}
	b.drop(u)
	b.until("")
	if _, _, err := b.Engine.Exec(t.Context(), p, engine.Command{Argv: shell("exit 0")}); err == nil {
		t.Error("a command ran beside a process that has ended")
	}
}

// web is a unit of a process that listens.
func (b *bench) web() engine.Unit {
	u := b.unit("", 1)
	u.Name.Type, u.Listens, u.Argv, u.Env["PORT"] = "web", true, b.Serve, engine.Port
	return u
}

func dials(t *testing.T, b *bench) {
	u := b.web()
	b.want(u)
	p := b.running(1)
	if p.Addr == "" {
		t.Fatalf("%+v", p)
	}
	rig.Eventually(t, "it listens", func() bool {
		conn, err := b.Engine.Dial(t.Context(), p, 0)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	b.drop(u)
	b.until("")
	if conn, err := b.Engine.Dial(t.Context(), p, 0); err == nil {
		conn.Close()
		t.Error("dialed a process that has ended")
	}
}

func listening(t *testing.T, b *bench) {
	if b.NoListening {
		t.Skip("the engine cannot find out where a process listens")
	}
	u := b.web()
	b.want(u)
	p := b.running(1)
	_, port, _ := net.SplitHostPort(p.Addr)
	rig.Eventually(t, "it listens on "+port, func() bool {
		return reflect.DeepEqual(b.Engine.Listening(t.Context(), p), []string{port})
	})
	b.drop(u)
	b.until("")
	if list := b.Engine.Listening(t.Context(), p); len(list) > 0 {
		t.Errorf("after its end it listens on %q", list)
	}
}
