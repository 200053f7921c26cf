//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const manyApps = 10

// memoryResult is the memory of the server itself, without the apps.
type memoryResult struct {
	One, Many memory // with one idle app, and with manyApps
}

// memory is one reading, summed over the server's processes. Resident counts pages that processes
// share, such as the program text, once for each of them; proportional counts them once.
type memory struct {
	Processes              int
	Resident, Proportional float64       // MB of 2^20 bytes
	After                  time.Duration // since the last push
}

func measureMemory(ctx context.Context, o options, c *client) (*memoryResult, error) {
	s, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	res := &memoryResult{}
	for i := 1; i <= manyApps; i++ {
		progress("memory: app %d of %d", i, manyApps)
		if _, err := c.deploy(ctx, s.app(fmt.Sprintf("idle%d", i))); err != nil {
			return nil, err
		}
		switch i {
		case 1:
			res.One, err = settled(ctx, s)
		case manyApps:
			res.Many, err = settled(ctx, s)
		}
		if err != nil {
			return nil, err
		}
	}
	return res, nil
}

func (m *memoryResult) rows(print row) {
	reading := func(what string, one memory, target string) {
		print(fmt.Sprintf("memory with %s, %.0f s after the push", what, one.After.Seconds()),
			fmt.Sprintf("%.1f MB resident, %.1f proportional", one.Resident,
				one.Proportional), "", "", target)
	}
	reading("1 idle app", m.One, "at most 30 MB")
	reading(fmt.Sprintf("%d idle apps", manyApps), m.Many, "")
	const more = manyApps - 1
	print("memory for each app more", fmt.Sprintf("%.2f MB resident, %.2f proportional",
		(m.Many.Resident-m.One.Resident)/more, (m.Many.Proportional-m.One.Proportional)/more),
		"", "", "at most 0.3 MB")
}

// settled reads the memory once it has stayed within 0.1 MB for ten seconds, or after a minute. A
// server gives the memory of a push back over time.
func settled(ctx context.Context, s *server) (memory, error) {
	start := time.Now()
	var last []memory
	for {
		m, err := readMemory(s.processes())
		if err != nil {
			return memory{}, err
		}
		m.After = time.Since(start)
		last = append(last, m)
		if n := len(last); n > 10 {
			low, high := m.Resident, m.Resident
			for _, before := range last[n-11:] {
				low, high = min(low, before.Resident), max(high, before.Resident)
			}
			if high-low <= 0.1 || m.After >= time.Minute {
				return m, nil
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return memory{}, ctx.Err()
		}
	}
}

func readMemory(pids []int) (memory, error) {
	m := memory{Processes: len(pids)}
	for _, pid := range pids {
		err := errors.Join(
			addKilobytes(&m.Resident, pid, "status", "VmRSS:"),
			addKilobytes(&m.Proportional, pid, "smaps_rollup", "Pss:"))
		if err != nil {
			return memory{}, err
		}
	}
	return m, nil
}

// addKilobytes adds the figure of one line such as "Pss:   1234 kB" to sum, which is in MB.
func addKilobytes(sum *float64, pid int, file, key string) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if figure, ok := strings.CutPrefix(lines.Text(), key); ok {
			var kilobytes float64
			_, err := fmt.Sscanf(figure, "%f kB", &kilobytes)
			*sum += kilobytes / 1024
			return err
		}
	}
	return fmt.Errorf("no %s in %s", key, f.Name())
}
