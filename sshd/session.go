package sshd

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"paas/say"
)

// internalError is the exit status of a session that panicked; it is also what ssh(1) says where
// it got no status.
const internalError = 255

// session serves what one session asked for and always sends an exit status.
func (s *Server) session(sess ssh.Session) {
	ctx := sess.Context().(*sessionContext)
	log := s.log().With("addr", sess.RemoteAddr())
	if !s.flight.begin() {
		complain(sess.Stderr(), "the server is stopping; try again in a moment")
		_ = sess.Exit(1) // the client may be gone; so may it be below
		return
	}
	defer s.flight.end()
	code := internalError
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a session", "panic", p, "stack", string(debug.Stack()))
			complain(sess.Stderr(), "internal error; the server's log has the details")
		}
		_ = sess.Exit(code)
	}()
	go keepAlive(ctx, ctx.conn, max(s.idle()/4, time.Millisecond))

	who, ok := s.identity(ctx.conn)
	if !ok {
		complain(sess.Stderr(), "the key you came in with was removed")
		code = 1
		return
	}
	code = status(s.serve(ctx, sess, who))
	log.Info("session ended", "key", who.Name, "status", code)
}

// serve runs the command and returns its exit status.
func (s *Server) serve(ctx *sessionContext, sess ssh.Session, who Identity) int {
	cmd, err := parseCommand(sess.RawCommand(), s.AppName)
	c := s.console(ctx, sess, cmd.args)
	if err != nil {
		complain(c.Stderr, err.Error())
		return 1
	}
	log := s.log().With("key", who.Name, "addr", sess.RemoteAddr())
	if cmd.service != "" {
		log.Info("git", "service", cmd.service, "app", cmd.app)
		run, cancel := endWith(ctx, s.hard)
		defer cancel()
		return s.Git.Serve(run, who, cmd.service, cmd.app, ctx.filter.protocol, c.Stdin, c.Stdout, c.Stderr)
	}
	run, cancel := endWith(ctx, s.soft)
	defer cancel()
	if len(cmd.args) == 0 {
		fmt.Fprintf(c.Stdout, "Hi %s! Your key works; there is no shell here, but git push and these commands:\n\n", who.Name)
		s.Verbs.Run(run, who, []string{"help"}, c)
		return 0
	}
	log.Info("command", "verb", cmd.args[0]) // not the arguments: they hold people's secrets
	return s.Verbs.Run(run, who, cmd.args, c)
}

// endWith is ctx, ended also when stop ends.
func endWith(ctx, stop context.Context) (context.Context, context.CancelFunc) {
	both, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(stop, cancel)
	return both, func() {
		unhook()
		cancel()
	}
}

// keepAlive asks the client for a sign of life every so often, so that a long silent command
// outlives the idle timeout of the connection if the client does. Every client must answer a
// request that wants an answer (RFC 4254, 4), if only to refuse it; the name is OpenSSH's.
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

// complain writes one line for a person. It may quote what came from outside, so nothing in it
// reaches a terminal but what prints.
func complain(w io.Writer, text string) {
	say.Fault(w, "%s", say.Plain(text, 4<<10)) // a client that is gone needs no message
}

// status makes a code what exit statuses are: 0 to 255. 256 must not come out as success.
func status(code int) int {
	if code < 0 || code > 255 {
		return internalError
	}
	return code
}
