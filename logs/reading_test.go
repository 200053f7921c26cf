package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/rig"
)

func at(clock string) time.Time {
	t, err := time.Parse(time.RFC3339, "2026-11-25T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return t
}

func TestReading(t *testing.T) {
	dir := rig.Tree(t, map[string]string{
		"web.1.log.1":    "2026-11-25T10:00:00.000Z a\n2026-11-25T10:00:03.000Z d\n",
		"web.1.log":      "2026-11-25T10:00:04.000Z\t--- after 2 lines\n2026-11-25T10:00:06.000Z f\ntorn",
		"worker.1.log":   "2026-11-25T10:00:01.000Z b\n2026-11-25T10:00:05.000Z e\nwithout a time\n",
		"web.10.log":     "2026-11-25T10:00:07.000Z g\n",
		"web.2.log.1":    "2026-11-25T10:00:02.000Z\t--- v7 ended\n",
		"empty.1.log":    "",
		"notes.txt":      "2026-11-25T10:00:02.000Z not a log\n",
		"web.1.log.tmp":  "2026-11-25T10:00:02.000Z not a log\n",
		"web.first.log":  "2026-11-25T10:00:02.000Z not a process\n",
		"sub/web.3.log":  "2026-11-25T10:00:02.000Z not here\n",
		"silent.1.log.1": "",
	})
	all := []string{
		"web.1 a", "worker.1 b", "web.2 --- v7 ended", "web.1 d", "worker.1 e",
		"worker.1 without a time", "web.1 f", "web.1 torn", "web.10 g",
	}
	if got, err := Processes(dir); err != nil ||
		fmt.Sprint(got) != "[empty.1 silent.1 web.1 web.2 web.10 worker.1]" {
		t.Errorf("read %q, err = %v", got, err)
	}
	for _, tt := range []struct {
		name  string
		r     Reading
		lines []string
	}{
		{"all", Reading{Last: -1}, all},
		{"none", Reading{Last: 0}, nil},
		{"more than there are", Reading{Last: 100}, all},
		{
			"of one process", Reading{Last: 2, Of: func(p string) bool { return p == "web.1" }},
			[]string{"web.1 f", "web.1 torn"},
		},
		{
			"of a type", Reading{Last: 4, Of: func(p string) bool { return Type(p) == "web" }},
			[]string{"web.1 d", "web.1 f", "web.1 torn", "web.10 g"},
		},
		{"since", Reading{Last: -1, Since: at("10:00:05")}, all[4:]},
		{"since, in the file before", Reading{Last: -1, Since: at("10:00:03")}, all[3:]},
		{"the last of those since", Reading{Last: 2, Since: at("10:00:05")}, all[7:]},
		{"fewer since than the last", Reading{Last: 6, Since: at("10:00:06")}, all[6:]},
		{"since later", Reading{Last: -1, Since: at("11:00:00")}, nil},
	} {
		tt.r.Dir = dir
		if got := read(t, tt.r); !slices.Equal(got, tt.lines) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.lines)
		}
	}
	for n := range all {
		if got := read(t, Reading{Dir: dir, Last: n}); !slices.Equal(got, all[len(all)-n:]) {
			t.Errorf("the last %d lines: %q", n, got)
		}
	}
	if got := read(t, Reading{Dir: filepath.Join(dir, "nowhere"), Last: 3}); got != nil {
		t.Errorf("%q", got)
	}
}

// following runs a reading of dir in a synctest bubble. The returned function ends it and returns
// the lines.
func following(t *testing.T, r Reading) (end func() []string) {
	ctx, cancel := context.WithCancel(t.Context())
	var got lines
	r.To, r.Follow = &got, true
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	return func() []string {
		time.Sleep(10 * pollInterval)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return got.all
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		web := &File{Path: filepath.Join(dir, "web.1.log")}
		fmt.Fprint(web, "one\ntwo\n")
		end := following(t, Reading{Dir: dir, Last: 1})
		fmt.Fprint(web, "three\nwith")
		time.Sleep(2 * pollInterval)
		worker := &File{Path: filepath.Join(dir, "worker.1.log")} // appears while followed
		fmt.Fprint(worker, "begun\n")
		time.Sleep(2 * pollInterval)
		fmt.Fprint(web, " end\n")
		web.Note("v%d starts", 8)
		worker.Close()
		time.Sleep(2 * pollInterval)
		once := &File{Path: filepath.Join(dir, "run.1.log")} // and goes again
		fmt.Fprint(once, "once\n")
		time.Sleep(2 * pollInterval)
		fmt.Fprint(once, "and out")
		once.Close()
		os.Remove(once.Path)
		time.Sleep(2 * pollInterval)
		fmt.Fprint(web, "last\n")
		web.Close()
		want := []string{
			"web.1 two", "web.1 three", "worker.1 begun", "web.1 with end", "web.1 --- v8 starts",
			"run.1 once", "run.1 and out", "web.1 last",
		}
		if got := end(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// A reader copes with a missing folder, and a file that is emptied or removed by hand.
func TestFollowByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	synctest.Test(t, func(t *testing.T) {
		end := following(t, Reading{Dir: dir, Last: 10})
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f := &File{Path: filepath.Join(dir, "web.1.log")}
		defer f.Close()
		fmt.Fprint(f, "one, which is longer\n")
		time.Sleep(2 * pollInterval)
		os.Truncate(f.Path, 0)
		fmt.Fprint(f, "two\n")
		time.Sleep(2 * time.Second)
		os.Remove(f.Path)
		fmt.Fprint(f, "three\n")
		time.Sleep(time.Second)
		if got := end(); fmt.Sprint(got) != "[web.1 one, which is longer web.1 two web.1 three]" {
			t.Errorf("%q", got)
		}
	})
}

// sum returns how many lines were read and how many the reader was told it missed. The numbers of
// the lines must increase.
func sum(t *testing.T, got []string) (read, left int) {
	t.Helper()
	last := -1
	for _, line := range got {
		var n int
		if _, err := fmt.Sscanf(line, "web.1 --- %d lines left out", &n); err == nil {
			left += n
			continue
		}
		if _, err := fmt.Sscanf(line, "web.1 line %d", &n); err != nil || n <= last {
			t.Fatalf("%q comes after line %d", line, last)
		}
		last = n
		read++
	}
	return read, left
}

// However often the log is rotated between two checks, each line is read or counted. With at most
// two rotations none is lost.
func TestFollowRotation(t *testing.T) {
	for _, tt := range []struct{ lines, times, left int }{
		{5, 40, 0}, {20, 20, 0}, {40, 20, 0}, {200, 5, 1},
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			f := &File{Path: filepath.Join(dir, "web.1.log"), MaxBytes: 1000} // 28 lines
			defer f.Close()
			end := following(t, Reading{Dir: dir})
			n := 0
			for range tt.times {
				for range tt.lines {
					fmt.Fprintf(f, "line %d\n", n)
					n++
				}
				time.Sleep(3 * pollInterval)
			}
			read, left := sum(t, end())
			if read+left != n || left > 0 != (tt.left > 0) {
				t.Errorf("%d lines at a time: read %d, missed %d, of %d", tt.lines, read, left, n)
			}
		})
	}
}

// slow is a reader during whose work the log grows.
type slow struct {
	lines
	each func()
}

func (s *slow) Line(l Line) error {
	s.each()
	return s.lines.Line(l)
}

// A reader that is slower than the app takes no memory, and learns how much it has missed.
func TestFollowTooSlow(t *testing.T) {
	dir := t.TempDir()
	f := &File{Path: filepath.Join(dir, "web.1.log"), MaxBytes: 1000}
	defer f.Close()
	n := 0
	say := func() {
		fmt.Fprintf(f, "line %d\n", n)
		n++
	}
	say()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &slow{}
	s.each = func() {
		for range 3 {
			if n < 3000 {
				say()
			}
		}
	}
	s.pause = func() {
		if len(s.all) > 0 && strings.HasPrefix(s.all[len(s.all)-1], "web.1 line 2999") {
			cancel()
		}
	}
	if err := (&Reading{Dir: dir, Last: 1, Follow: true, To: s}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	if read, left := sum(t, s.all); read+left != n || left == 0 {
		t.Errorf("read %d, missed %d, of %d", read, left, n)
	}
}

// Two releases write one log from two goroutines and rotate it: each line is read or counted.
func TestFollowTwoWriters(t *testing.T) {
	dir := t.TempDir()
	const each = 20_000
	got := &lines{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- (&Reading{Dir: dir, Last: -1, Follow: true, To: got}).Run(ctx) }()
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			f := &File{Path: filepath.Join(dir, "web.1.log"), MaxBytes: 100_000}
			defer f.Close()
			for i := range each {
				fmt.Fprintf(f, "writer %d line %d\n", w, i)
				if i%1000 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			f.Note("writer %d ends", w)
		})
	}
	writers.Wait()
	time.Sleep(5 * pollInterval)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	left := 0
	next := [2]int{}
	for _, line := range got.all {
		var w, i, n int
		if _, err := fmt.Sscanf(line, "web.1 --- %d lines left out", &n); err == nil {
			left += n
		} else if _, err := fmt.Sscanf(line, "web.1 writer %d line %d", &w, &i); err == nil {
			if i < next[w] {
				t.Fatalf("%q comes after line %d", line, next[w])
			}
			next[w] = i + 1
		}
	}
	lines := len(got.all) - strings.Count(strings.Join(got.all, "\n"), "left out")
	if lines+left != 2*each+2 {
		t.Errorf("read %d, missed %d, of %d", lines, left, 2*each+2)
	}
}

// An app's line that looks like a note is not one.
func TestNote(t *testing.T) {
	dir := t.TempDir()
	f := &File{Path: filepath.Join(dir, "web.1.log")}
	f.Note("v7 starts\n2026-11-25T10:00:00.000Z\t--- all is well")
	fmt.Fprint(f, "--- v8 starts\n2026-11-25T10:00:00.000Z\t--- v9 starts\n\t--- v10 starts\n")
	f.Close()
	var notes []bool
	r := Reading{
		Dir:  dir,
		Last: -1,
		To:   readerFunc(func(l Line) error { notes = append(notes, l.Note); return nil }),
	}
	if err := r.Run(t.Context()); err != nil || fmt.Sprint(notes) != "[true false false false]" {
		t.Errorf("notes = %v, err = %v", notes, err)
	}
}

type readerFunc func(Line) error

func (f readerFunc) Line(l Line) error { return f(l) }
func (f readerFunc) Pause() error      { return nil }

// After a power cut leaves an incomplete line, the next one is a line of its own.
func TestIncompleteLine(t *testing.T) {
	dir := rig.Tree(t, map[string]string{
		"web.1.log": "2026-11-25T10:00:00.000Z whole\n2026-11-25T10:0",
	})
	f := &File{Path: filepath.Join(dir, "web.1.log")}
	fmt.Fprintln(f, "after")
	f.Close()
	if got := read(t, Reading{Dir: dir,
		Last: 10}); fmt.Sprint(got) != "[web.1 whole web.1 2026-11-25T10:0 web.1 after]" {
		t.Errorf("%q", got)
	}
}

// A line of a megabyte, and one without end that no File wrote, come in pieces.
func TestLongLines(t *testing.T) {
	junk := bytes.Repeat([]byte("\x00\xff\x1b[2J~~"), 1<<17)
	dir := rig.Tree(t, map[string]string{"web.1.log": string(junk)})
	f := &File{Path: filepath.Join(dir, "web.1.log")}
	f.Write(junk)
	fmt.Fprint(f, "\nafter\n")
	f.Close()
	got := read(t, Reading{Dir: dir, Last: -1})
	for i := range got {
		if got[i] = strings.TrimPrefix(got[i], "web.1 "); len(got[i]) > 2*longestLine+64<<10 {
			t.Errorf("a line has %d bytes", len(got[i]))
		}
	}
	if strings.Join(got, "") != string(junk)+string(junk)+"after" {
		t.Errorf("the %d lines differ from what was written", len(got))
	}
}

// A reader's error ends the reading.
func TestReadingError(t *testing.T) {
	dir := rig.Tree(t, map[string]string{"web.1.log": "2026-11-25T10:00:00.000Z one\n"})
	gone := errors.New("gone")
	r := Reading{Dir: dir, Last: 1, Follow: true, To: readerFunc(func(Line) error { return gone })}
	if err := r.Run(t.Context()); err != gone {
		t.Errorf("Run returned %v, want the reader's error", err)
	}
}

// Whatever an app prints, in whatever pieces, is read back byte by byte, in lines of at most 64
// KiB.
func FuzzFile(f *testing.F) {
	f.Add([]byte("a\nb\r\n\x00\xff\n\nno end"), 3)
	f.Add([]byte("2026-11-25T10:00:00.000Z\t--- after 7 lines\n"), 100)
	f.Add([]byte("a\r\n"), -1)
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 5<<10), 1<<14)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		dir := t.TempDir()
		file := &File{Path: filepath.Join(dir, "web.1.log"), MaxBytes: 1 << 30}
		for rest := text; len(rest) > 0; {
			n := min(max(step, 1+len(text)/50), len(rest))
			file.Write(rest[:n])
			rest = rest[n:]
		}
		file.Close()
		var want []string
		for line := range strings.Lines(string(text)) {
			line, ended := strings.CutSuffix(line, "\n")
			for len(line) > longestLine {
				want = append(want, line[:longestLine])
				line = line[longestLine:]
			}
			if ended {
				line = strings.TrimSuffix(line, "\r")
			}
			want = append(want, line)
		}
		var got []string
		r := Reading{
			Dir:  dir,
			Last: -1,
			To:   readerFunc(func(l Line) error { got = append(got, string(l.Text)); return nil }),
		}
		if err := r.Run(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("err = %v; got %.300q, want %.300q", err, got, want)
		}
		if n := len(got) / 2; n > 0 {
			if last := read(t, Reading{Dir: dir, Last: n}); len(last) != n {
				t.Fatalf("asked for the last %d lines, got %d", n, len(last))
			}
		}
	})
}

// Whatever a file contains, each byte of it is read once, as text or as a line's time, and what was
// written later comes last.
func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-11-25T10:00:00.000Z\t--- after 7 lines\n2026-11-25T10:00:00.000Z x\n"))
	f.Add([]byte("2026-11-25T10:00:00.000Z\n2026-11-25T10:00:00.000+01:00 x\n" +
		"9999-99-99T99:99:99.999Z x"))
	f.Add([]byte("0000-01-01T00:00:00,000Z 00"))
	f.Add([]byte("2026-11-25T10:00:00.000Z\t--- after -7 lines\n\n\n\x00"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if l, ok := parse(content); ok {
			whose := byte(app)
			if l.Note {
				whose = server
			}
			if again := append(appendStamp(nil, l.Time, whose), l.Text...); !bytes.Equal(again,
				content) {
				t.Fatalf("%q was read as %q", content, again)
			}
		}
		dir := rig.Tree(t, map[string]string{"web.1.log": string(content)})
		file := &File{Path: filepath.Join(dir, "web.1.log")}
		fmt.Fprintln(file, "after")
		file.Close()
		got := read(t, Reading{Dir: dir, Last: -1})
		if len(got) == 0 || got[len(got)-1] != "web.1 after" {
			t.Fatalf("got %.300q", got)
		}
		if last := read(t, Reading{Dir: dir, Last: 1}); len(last) != 1 || last[0] != "web.1 after" {
			t.Fatalf("the last line is %.300q", last)
		}
	})
}
