package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An init function runs on the program's first thread.
func init() {
	if os.Getenv("TEST_FIRST_THREAD") != "" {
		runtime.LockOSThread()
		if err := fromFirstThread(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// threads records the threads on which it was entered and left.
type threads struct {
	entered int
	left    chan int
}

func (u *threads) Enter(*syscall.SysProcAttr) error {
	u.entered = unix.Gettid()
	return nil
}

func (u *threads) Leave() { u.left <- unix.Gettid() }

// fromFirstThread starts a command from the first thread.
func fromFirstThread() error {
	if unix.Gettid() != os.Getpid() {
		return errors.New("not the first thread")
	}
	result, done := make(chan error, 1), make(chan struct{})
	under := &threads{left: make(chan int, 1)}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	k := &Keeper{closed: make(chan struct{})}
	k.startOnThread([]Confinement{under}, cmd, result, done)
	err := errors.Join(<-result, cmd.Wait())
	close(done)
	if left := <-under.left; left == os.Getpid() || left != under.entered {
		err = errors.Join(err,
			errors.New("the first thread entered, or another than that which entered left"))
	}
	return err
}

// The first thread never ends, and for control groups of version 1 its memory is that of the whole
// server.
func TestFirstThreadEntersNothing(t *testing.T) {
	// else it waits for the end of the command
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_FIRST_THREAD=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("err = %v, printed %s", err, out)
	}
}
