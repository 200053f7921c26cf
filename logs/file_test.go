package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"paas/rig"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// lines collects what it reads, each line as "web.1 text".
type lines struct {
	all   []string
	pause func()
}

func (l *lines) Line(line Line) error {
	l.all = append(l.all, line.Process+" "+string(line.Text))
	return nil
}

func (l *lines) Pause() error {
	if l.pause != nil {
		l.pause()
	}
	return nil
}

// read returns what a reading finds now.
func read(t *testing.T, r Reading) []string {
	t.Helper()
	var got lines
	r.To = &got
	if err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return got.all
}

// texts returns the last n lines of the log at path, the only one in its folder.
func texts(t *testing.T, path string, n int) []string {
	t.Helper()
	got := read(t, Reading{Dir: filepath.Dir(path), Last: n})
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], "web.1 ")
	}
	return got
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	if got := texts(t, path, 3); len(got) != 0 {
		t.Errorf("%q", got)
	}
	f := &File{Path: path}
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file before the first line")
	}
	for _, text := range []string{
		"one\ntw", "o\r\n", "\n", "a\x00b\n", strings.Repeat("x", longestLine+3) + "\n", "end",
	} {
		if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	f.Close()
	f.Write([]byte("again\n"))
	f.Close()
	want := []string{
		"one", "two", "", "a\x00b", strings.Repeat("x", longestLine), "xxx", "end", "again",
	}
	if got := texts(t, path, 100); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the log is %.200q", got)
	}
	if got := texts(t, path, 2); fmt.Sprint(got) != "[end again]" {
		t.Errorf("%q", got)
	}
}

// An incomplete line becomes a line of its own before a note and before the output of the next
// process.
func TestFileIncompleteLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	f := &File{Path: path}
	defer f.Close()
	f.EndLine() // of nothing
	f.Write([]byte("first\nno end"))
	f.Note("exit status %d", 3)
	f.Write([]byte("no end again\r"))
	f.EndLine()
	f.EndLine()
	f.Write([]byte("the next life\n"))
	want := []string{"first", "no end", "--- exit status 3", "no end again", "the next life"}
	if got := texts(t, path, 100); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What a program prints before it hangs is visible, even without a line ending. A line written in
// pieces is one line.
func TestFileLateEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	synctest.Test(t, func(t *testing.T) {
		f := &File{Path: path}
		after := func(wait time.Duration, text string, want ...string) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			f.Write([]byte(text))
			if got := texts(t, path, 100); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		after(0, "ready? ")
		after(longestWait, "yes\nin pie", "ready? ", "yes")
		after(longestWait*3/4, "ces\none ", "ready? ", "yes", "in pieces")
		after(longestWait*3/4, "line\n", "ready? ", "yes", "in pieces", "one line")
		after(longestWait, "unended", "ready? ", "yes", "in pieces", "one line")
		after(longestWait, "", "ready? ", "yes", "in pieces", "one line", "unended")
		f.Write([]byte("the end"))
		f.Close()
		f.Write([]byte("another"))
		after(longestWait, "", "ready? ", "yes", "in pieces", "one line", "unended", "the end",
			"another")
		f.Close()
	})
}

func TestFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	f := &File{Path: path, MaxBytes: 1000}
	defer f.Close()
	for i := range 100 {
		fmt.Fprintf(f, "line %d\n", i)
	}
	for _, name := range []string{path, path + ".1"} {
		if info, err := os.Stat(name); err != nil || info.Size() > 1000 {
			t.Errorf("file is %v, err = %v", info, err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	got := texts(t, path, 1000)
	for i := range got {
		if want := fmt.Sprintf("line %d", 100-len(got)+i); got[i] != want {
			t.Fatalf("got %q, want %q", got[i], want)
		}
	}
	for _, n := range []int{1, 5, 30, len(got)} { // within the file, and across
		if part := texts(t, path, n); fmt.Sprint(part) != fmt.Sprint(got[len(got)-n:]) {
			t.Errorf("the last %d lines: %q", n, part)
		}
	}
}

func TestFileConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	f := &File{Path: path}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				f.Write([]byte("whole line\n"))
			}
		})
	}
	all.Wait()
	f.Close()
	got := texts(t, path, 5000)
	if len(got) != 2000 || strings.Join(got, "") != strings.Repeat("whole line", 2000) {
		t.Errorf("got %d lines", len(got))
	}
}

func TestFileFullDisk(t *testing.T) {
	dir := rig.SmallDisk(t)
	filler := filepath.Join(dir, "filler")
	f := &File{Path: filepath.Join(dir, "web.1.log")}
	defer f.Close()
	fmt.Fprintln(f, "before")
	if err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 2<<20), 0o644); !errors.Is(err,
		unix.ENOSPC) {
		t.Fatal(err)
	}
	line := strings.Repeat("y", 5000)
	for range 10 {
		if n, err := fmt.Fprintln(f, line); n != 5001 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	os.Remove(filler)
	fmt.Fprintln(f, "after")
	got := texts(t, f.Path, 100)
	if n := len(got); n < 3 || got[0] != "before" || got[n-1] != "after" ||
		!regexp.MustCompile(`^--- \d+ lines not written: no space left on device$`).MatchString(got[n-2]) {
		t.Errorf("the log is %.100q", got)
	}
	for _, text := range got[1 : len(got)-2] {
		if text != line {
			t.Errorf("incomplete line: %.60q", text)
		}
	}
}

// Another process may rotate the log. The file before is not lost, although this process has not
// noticed yet.
func TestOtherProcessRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	f := &File{Path: path, MaxBytes: 200}
	defer f.Close()
	f.Write([]byte(strings.Repeat("x", 130) + "\n"))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte(strings.Repeat("y", 130) + "\n"))
	if before, _ := os.ReadFile(path + ".1"); !strings.Contains(string(before), "xxx") {
		t.Errorf("the file before has %q", before)
	}
}

// Two releases write one log during a switch: neither writes into a file that the other has rotated
// away.
func TestFileTwoWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.1.log")
	one, two := &File{Path: path, MaxBytes: 200}, &File{Path: path, MaxBytes: 200}
	defer one.Close()
	defer two.Close()
	two.Write([]byte("first\n"))
	for range 20 {
		one.Write([]byte(strings.Repeat("x", 50) + "\n"))
	}
	two.Write([]byte("last\n"))
	if got := texts(t, path, 1); fmt.Sprint(got) != "[last]" {
		t.Errorf("the end of the log is %q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 200 {
		t.Errorf("the file has %v bytes, err = %v", info.Size(), err)
	}
}
