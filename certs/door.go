package certs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"
)

// Request asks a keeper in another process to serve a certificate that an owner brings, or not to
// serve it any more.
type Request struct {
	Owner string `json:"owner"`
	PEM   string `json:"pem,omitempty"` // the certificate and its key; empty: remove what there is
}

// response answers a [Request].
type response struct {
	Error   string `json:"error,omitempty"`
	Removed bool   `json:"removed,omitempty"`
}

const (
	maxRequest = 1 << 20 // bytes
	askTimeout = 10 * time.Second
)

// Serve answers requests until the listener closes. Only who may ask may connect to it.
func (k *Keeper) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(askTimeout))
			var r Request
			if json.NewDecoder(io.LimitReader(conn, maxRequest)).Decode(&r) != nil {
				return // no client of ours
			}
			var answer response
			var err error
			if r.PEM != "" {
				err = k.SetOwn(r.Owner, []byte(r.PEM))
			} else {
				answer.Removed, err = k.RemoveOwn(r.Owner)
			}
			if err != nil {
				answer.Error = err.Error()
			}
			json.NewEncoder(conn).Encode(answer)
		}()
	}
}

// Ask sends a request over conn, which it closes. It blocks for 10 s at most.
func Ask(ctx context.Context, conn net.Conn, r Request) (removed bool, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(askTimeout))
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		return false, err
	}
	var answer response
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return false, err
	}
	if answer.Error != "" {
		return false, errors.New(answer.Error)
	}
	return answer.Removed, nil
}
