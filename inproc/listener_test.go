package inproc

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
)

func TestListener(t *testing.T) {
	c := New()
	go func() {
		there, err := c.Accept()
		if err != nil {
			return
		}
		io.WriteString(there, "hello")
		there.Close()
	}()
	here, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if text, err := io.ReadAll(here); string(text) != "hello" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Dial(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody accepts: %v", err)
	}
	c.Close()
	if _, err := c.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed: %v", err)
	}
}
