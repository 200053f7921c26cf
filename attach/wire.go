package attach

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"paas/frame"
	"paas/terminal"
)

// The frames of a session.
const (
	// From the client: the command's words in order, the request, and then the others in any order.
	frameWord    frame.Kind = 'a'
	frameRequest frame.Kind = 'q' // a request in JSON
	frameIn      frame.Kind = 'i' // bytes for standard input
	frameInEnd   frame.Kind = '.' // the end of standard input
	frameSize    frame.Kind = 'w' // the terminal's size: columns and rows, 2 bytes each
	frameSignal  frame.Kind = 's' // one byte: the number of a signal for the command

	// From the server: any number of the first three, a fault if there is one, the exit status.
	frameOut   frame.Kind = 'o' // bytes of standard output, or of the terminal
	frameErr   frame.Kind = 'e' // bytes of standard error
	frameTaken frame.Kind = 't' // 4 bytes: how much more of the input was read
	frameFault frame.Kind = 'f' // an error text for the person
	frameExit  frame.Kind = 'x' // one byte: the exit status
)

const (
	window         = 4 * frame.Max    // bytes of input that may be sent before the command reads
	maxWords       = 1 << 20          // bytes of all words of a command
	requestTimeout = 10 * time.Second // for a request to arrive
	sendTimeout    = time.Minute      // for the server to read a frame
)

// Request is what a client asks the server to run.
type Request struct {
	App    string
	Argv   []string `json:"-"` // may contain any bytes
	By     string   // name of the person who asks
	Detach bool     // run it without streams; Out gets only its name
	// Terminal is the client's terminal if the command needs one, or nil.
	Terminal *terminal.Terminal
}

// writeRequest sends the command's words and the request.
func writeRequest(w io.Writer, r Request) error {
	total := 0
	for _, word := range r.Argv {
		total += len(word)
		if len(word) > frame.Max || total > maxWords {
			return fmt.Errorf("the command is too long: at most %d bytes per word and %d in all",
				frame.Max, maxWords)
		}
	}
	for _, word := range r.Argv {
		if err := frame.Write(w, frameWord, []byte(word)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return frame.Write(w, frameRequest, text)
}

// readRequest reads a request. The size of its Terminal, if any, does not change.
func readRequest(r io.Reader) (Request, error) {
	var argv []string
	total := 0
	for {
		k, content, err := frame.Read(r)
		switch {
		case err != nil:
			return Request{}, err
		case k == frameWord:
			total += len(content) + 1
			if total > 2*maxWords {
				return Request{}, fmt.Errorf("a command of more than %d bytes", maxWords)
			}
			argv = append(argv, string(content))
		case k == frameRequest:
			req := Request{Argv: argv}
			if err := json.Unmarshal(content, &req); err != nil {
				return Request{}, fmt.Errorf("request: %w", err)
			}
			if len(argv) == 0 || argv[0] == "" {
				return Request{}, fmt.Errorf("no command to run")
			}
			if t := req.Terminal; t != nil {
				t.Type = terminal.CheckType(t.Type)
			}
			return req, nil
		default:
			return Request{}, fmt.Errorf("unexpected frame %q before the request", k)
		}
	}
}

func sizeFrame(size terminal.Size) []byte {
	content, _ := binary.Append(nil, binary.BigEndian, size)
	return content
}

func parseSize(content []byte) (size terminal.Size, ok bool) {
	n, err := binary.Decode(content, binary.BigEndian, &size)
	return size, err == nil && n == len(content)
}

// passed are the signals that a person may send to a command: those that SSH has names for (RFC
// 4254, section 6.10) and that programs understand.
var passed = []syscall.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL, syscall.SIGUSR1,
	syscall.SIGUSR2, syscall.SIGTERM,
}

func parseSignal(content []byte) (syscall.Signal, bool) {
	if len(content) != 1 {
		return 0, false
	}
	sig := syscall.Signal(content[0])
	return sig, slices.Contains(passed, sig)
}
