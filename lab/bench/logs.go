//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"paas/lab/proc"
)

const (
	logRate = 10_000           // lines a second
	logTime = 12 * time.Second // as much as the bounded log can hold
)

// logsResult has the cost of a printing app with no reader of its log, with `logs -t` on the
// server, and with `logs -t` over SSH.
type logsResult struct {
	Alone, Local, Remote printing
}

// printing has the figures of one case.
type printing struct {
	Printed, Read, LeftOut int
	Took                   time.Duration // from the first line to the last
	Server                 time.Duration // processor time of the server
	Reader                 time.Duration // processor time of the reader, if there is one
	Behind                 time.Duration // from the last line printed to the last one read
}

func (p printing) lost() int { return p.Printed - p.Read - p.LeftOut }

// servePrint is part of the app. It prints the numbered lines, each with a write of its own, at
// logRate, and answers when it is done.
func servePrint(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("lines"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	start := time.Now()
	for i := 0; i < n; time.Sleep(time.Millisecond / 2) {
		for due := min(n, int(time.Since(start)*logRate/time.Second)); i < due; i++ {
			fmt.Fprintf(os.Stdout, "%s %d %s\n", r.FormValue("name"), i, strings.Repeat("x", 70))
		}
	}
	fmt.Fprint(w, time.Since(start).Nanoseconds())
}

func measureLogs(ctx context.Context, o options, c *client) (*logsResult, error) {
	s, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	app := s.app("backend")
	if err := pushBackend(ctx, c, app); err != nil {
		return nil, err
	}
	var res logsResult
	progress("logs: %d lines a second, no reader", logRate)
	if res.Alone, err = printLines(ctx, s, app, "alone", nil); err != nil {
		return nil, err
	}
	lines, err := s.run(ctx, "logs", "backend", "-n", strconv.Itoa(res.Alone.Printed))
	if err != nil {
		return nil, err
	}
	if err := res.Alone.count(bytes.NewReader(lines), "alone"); err != nil {
		return nil, err
	}
	progress("logs: %d lines a second, logs -t", logRate)
	local := []string{o.Paas, "logs", "backend", "-t"}
	if res.Local, err = printLines(ctx, s, app, "local", local); err != nil {
		return nil, err
	}
	progress("logs: %d lines a second, logs -t over ssh", logRate)
	remote := append(c.SSH(), "-p", s.ssh.Port(), "bench@127.0.0.1", "logs", "backend", "-t")
	res.Remote, err = printLines(ctx, s, app, "remote", remote)
	return &res, err
}

// printLines makes the app print while the reader, if there is one, reads.
func printLines(
	ctx context.Context, s *server, app target, name string, reader []string,
) (p printing, err error) {
	p.Printed = int(logRate * logTime / time.Second)
	ctx, cancel := context.WithTimeout(ctx, logTime+time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	var last time.Time
	var out *io.PipeWriter
	pid := 0
	if reader != nil {
		cmd := proc.Command(ctx, s.env, reader[0], reader[1:]...)
		in, w := io.Pipe()
		out = w
		cmd.Stdout = w
		if err := cmd.Start(); err != nil {
			return p, err
		}
		pid = cmd.Process.Pid
		defer func() {
			cmd.Process.Kill()
			w.Close()
			cmd.Wait()
		}()
		go func() {
			err := p.count(in, name)
			last = time.Now()
			ended <- err
			io.Copy(io.Discard, in)
		}()
		if err := proc.Wait(ctx, time.Second); err != nil { // the reader has started
			return p, err
		}
	}
	before, err := usedBy(s.processes())
	if err != nil {
		return p, err
	}
	took, err := get(ctx, app.client(false), app,
		fmt.Sprintf("/print?lines=%d&name=%s", p.Printed, name))
	if err != nil {
		return p, err
	}
	printed := time.Now()
	nanoseconds, err := strconv.ParseInt(string(took), 10, 64)
	if err != nil {
		return p, err
	}
	p.Took = time.Duration(nanoseconds)
	after, err := usedBy(s.processes())
	if err != nil {
		return p, err
	}
	p.Server = after - before
	if reader == nil {
		return p, nil
	}
	if p.Reader, err = used(pid); err != nil {
		return p, err
	}
	select {
	case err = <-ended:
	case <-time.After(5 * time.Second): // the last line is lost
		out.Close()
		err = <-ended
	case <-ctx.Done():
		return p, ctx.Err()
	}
	p.Behind = last.Sub(printed)
	return p, err
}

// count reads until the last line that the app prints under this name, or the end.
func (p *printing) count(in io.Reader, name string) error {
	next := 0
	lines := bufio.NewScanner(in)
	for next < p.Printed && lines.Scan() {
		if words, is := strings.CutSuffix(lines.Text(), " lines left out: the reader was too slow"); is {
			n, err := strconv.Atoi(words[strings.LastIndexByte(words, ' ')+1:])
			if err != nil {
				return err
			}
			p.LeftOut += n
			continue
		}
		_, numbered, is := strings.Cut(lines.Text(), " "+name+" ")
		if !is {
			continue
		}
		digits, _, _ := strings.Cut(numbered, " ")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return err
		}
		if n < next {
			return fmt.Errorf("line %d came after line %d", n, next-1)
		}
		next = n + 1
		p.Read++
	}
	return lines.Err()
}

func (r *logsResult) rows(print row) {
	for _, one := range []struct {
		who string
		p   printing
	}{{"no reader", r.Alone}, {"`logs -t`", r.Local}, {"`logs -t` over ssh", r.Remote}} {
		rate := float64(one.p.Printed) / one.p.Took.Seconds()
		print(fmt.Sprintf("processor time of the server at %.0f lines a second, %s", rate, one.who),
			share(one.p.Server, one.p.Took), "", "", "")
		print("lines lost, "+one.who, fmt.Sprintf("%d of %d", one.p.lost(), one.p.Printed), "", "", "0")
		if one.p.Reader > 0 {
			print("reported as left out, and delay of the last line, "+one.who,
				fmt.Sprintf("%d, %s", one.p.LeftOut, ms(one.p.Behind)), "", "", "")
			print("processor time of the reader, "+one.who, share(one.p.Reader, one.p.Took), "", "", "")
		}
	}
}
