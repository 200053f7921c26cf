package sshd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"paas/say"
)

// internalError is the exit status after a panic. ssh(1) also uses it if it gets no status.
const internalError = 255

// session serves a session and always sends an exit status.
func (s *Server) session(sess ssh.Session) {
	ctx := sess.Context().(*sessionContext)
	log := s.Log.With("addr", sess.RemoteAddr())
	if !s.sessions.begin() {
		printError(sess.Stderr(), "the server is stopping; try again in a moment")
		_ = sess.Exit(1) // here and below, errors mean that the client is gone
		return
	}
	defer s.sessions.end()
	ctx.Value(clientConnKey{}).(*clientConn).settle()
	code := internalError
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic while serving a session", "panic", p, "stack", string(debug.Stack()))
			printError(sess.Stderr(), "internal error; the server's log has the details")
		}
		_ = sess.Exit(code)
	}()
	go keepAlive(ctx, ctx.conn, max(s.IdleTimeout/4, time.Millisecond))

	who, err := s.identify(ctx.conn)
	if err != nil {
		why := err.Error()
		if errors.Is(err, ErrUnknownKey) {
			why = "your key was removed"
		}
		printError(sess.Stderr(), why)
		code = 1
		return
	}
	code = exitStatus(s.serve(ctx, sess, who))
	log.Info("session ended", "key", who.Name, "status", code)
}

// serve runs the command and returns its exit status.
func (s *Server) serve(ctx *sessionContext, sess ssh.Session, who Identity) int {
	cmd, err := parseCommand(sess.RawCommand(), s.AppName)
	c := s.console(ctx, sess, cmd.args)
	if err != nil {
		printError(c.Stderr, err.Error())
		return 1
	}
	log := s.Log.With("key", who.Name, "addr", sess.RemoteAddr())
	if cmd.service != "" {
		log.Info("git", "service", cmd.service, "app", cmd.app)
		run, cancel := withStop(ctx, s.cancelled)
		defer cancel()
		return s.Git.Serve(run, who, cmd.service, cmd.app, ctx.filter.protocol, c.Stdin, c.Stdout,
			c.Stderr)
	}
	run, cancel := withStop(ctx, s.stopping)
	defer cancel()
	if len(cmd.args) == 0 {
		fmt.Fprintf(c.Stdout, "Hi %s! Your key works. There is no shell here, but you can use git "+
			"push and these commands:\n\n", who.Name)
		s.Verbs.Run(run, who, []string{"help"}, c)
		return 0
	}
	log.Info("command", "verb", say.Program(cmd.args[0])) // arguments may contain secrets
	return s.Verbs.Run(run, who, cmd.args, c)
}

// withStop returns a ctx that also ends when stop does.
func withStop(ctx, stop context.Context) (context.Context, context.CancelFunc) {
	both, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(stop, cancel)
	return both, func() {
		unhook()
		cancel()
	}
}

// keepAlive regularly asks the client for a reply, so that a long silent command survives the idle
// timeout. Clients must reply to such a request, if only to refuse it (RFC 4254, 4). Its name is
// OpenSSH's.
func keepAlive(ctx context.Context, conn gossh.Conn, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if _, _, err := conn.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			return
		}
	}
}

// printError prints an error to the client. text may contain untrusted input, so only printable
// characters are written.
func printError(w io.Writer, text string) {
	say.Fault(w, "%s", say.Plain(text, 4<<10)) // fails only if the client is gone
}

// exitStatus returns code if it is from 0 to 255, else internalError: 256 must not become success.
func exitStatus(code int) int {
	if code < 0 || code > 255 {
		return internalError
	}
	return code
}
