package receiver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"paas/frame"
)

// Variables in the environment of git-receive-pack, for the hooks.
const (
	socketEnv = "PAAS_HOOK_SOCKET"
	tokenEnv  = "PAAS_HOOK_TOKEN"
)

// relayed are the prefixes of git's variables that a hook passes on to the server.
var relayed = []string{
	"GIT_OBJECT_DIRECTORY=",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES=",
	"GIT_PUSH_OPTION_",
}

// Hook is a whole git hook: it passes on what git reports to the server that runs git, prints what
// the server sends, and returns the exit status. name is argv[0] without folders. It blocks until
// the server has decided.
func Hook(name string, stdin io.Reader, stdout io.Writer, env ...string) int {
	status, err := relay(name, stdin, stdout, env)
	if err == nil {
		return status
	}
	say := voice{stdout}
	switch {
	case !errors.Is(err, errServerGone):
		say.fault("%s: %v", name, err)
	case name == preReceive:
		say.fault("the server stopped; nothing changed, push again")
	default:
		say.fault("the server stopped; what was pushed is accepted, and goes live when it is back")
	}
	return 1
}

var errServerGone = errors.New("the server stopped")

func relay(name string, stdin io.Reader, stdout io.Writer, env []string) (status int, err error) {
	conn, err := net.Dial("unix", lookup(env, socketEnv))
	if err != nil {
		return 0, errServerGone
	}
	defer conn.Close()
	if err := report(conn, name, stdin, env); err != nil {
		return 0, err
	}
	for {
		k, content, err := frame.Read(conn)
		switch {
		case err != nil:
			return 0, errServerGone
		case k == frameOut:
			if _, err := stdout.Write(content); err != nil {
				return 0, err
			}
		case k == frameExit && len(content) == 1:
			return int(content[0]), nil
		}
	}
}

// report passes on to the server all that git told the hook.
func report(conn io.Writer, name string, stdin io.Reader, env []string) error {
	out := bufio.NewWriter(conn)
	send := func(k frame.Kind, content string) error {
		if err := frame.Write(out, k, []byte(content)); err != nil {
			return fmt.Errorf("%.40s...: %w", content, err)
		}
		return nil
	}
	err := errors.Join(send(frameToken, lookup(env, tokenEnv)), send(frameName, name))
	for _, v := range env {
		for _, prefix := range relayed {
			if strings.HasPrefix(v, prefix) {
				err = errors.Join(err, send(frameEnv, v))
			}
		}
	}
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, frame.Max)
	for lines.Scan() {
		if err := send(frameLine, lines.Text()); err != nil {
			return err
		}
	}
	if err := errors.Join(lines.Err(), send(frameEnd, "")); err != nil {
		return err
	}
	if out.Flush() != nil {
		return errServerGone
	}
	return nil
}

func lookup(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
