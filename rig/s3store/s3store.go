// Package s3store runs versitygw, a store that speaks the protocol of Amazon S3 and checks signatures. We
// have not written it. Only tests import this package.
package s3store

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"paas/rig/visitor"
	"paas/subprocess"
)

// Version is the one that scripts/tools installs.
const Version = "1.8.0"

// The access key of its owner.
const ID, Key = "an-owner", "a-secret-of-the-owner"

// Store is a running store.
type Store struct {
	Endpoint string

	stop  context.CancelFunc
	ended chan struct{}
}

// Installed returns the program, or an error that says how to get it.
func Installed() (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	program := filepath.Join(caches, "paas-test", "versitygw-"+Version, "versitygw")
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("scripts/tools installs versitygw: %w", err)
	}
	return program, nil
}

// Start starts a store that keeps its buckets in dir, an empty folder.
func Start(dir string) (*Store, error) {
	program, err := Installed()
	if err != nil {
		return nil, err
	}
	files, facts := filepath.Join(dir, "files"), filepath.Join(dir, "facts")
	for _, d := range []string{files, facts} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	addr := net.JoinHostPort("127.0.0.1", visitor.FreePort("127.0.0.1"))
	ctx, stop := context.WithCancel(context.Background())
	cmd := subprocess.Command(ctx, program, "--port", addr, "--health", "/health", "posix", "--sidecar", facts, files)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + ID, "ROOT_SECRET_KEY=" + Key, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	s := &Store{Endpoint: "http://" + addr, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		subprocess.Run(cmd, nil)
	}()
	for range 1000 {
		if answer, err := http.Get(s.Endpoint + "/health"); err == nil {
			answer.Body.Close()
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("versitygw: %s", said.Bytes())
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.Stop()
	return nil, fmt.Errorf("versitygw does not answer: %s", said.Bytes())
}

// Stop ends the store.
func (s *Store) Stop() {
	s.stop()
	<-s.ended
}
