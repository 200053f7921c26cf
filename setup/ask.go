package setup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// Person answers questions at a terminal.
type Person struct {
	In  *bufio.Reader
	Out io.Writer
}

// Ask asks a question until check accepts the answer, and returns it without blanks around it. An
// empty answer is the suggestion. It blocks until there is an answer, the input ends, or ctx does.
func (p *Person) Ask(ctx context.Context, question, suggestion string, check func(string) error) (string, error) {
	for {
		fmt.Fprint(p.Out, question)
		if suggestion != "" {
			fmt.Fprintf(p.Out, " [%s]", suggestion)
		}
		fmt.Fprint(p.Out, ": ")
		line, err := p.line(ctx)
		if err != nil {
			return "", err
		}
		answer := strings.TrimSpace(line)
		if answer == "" {
			answer = suggestion
		}
		err = check(answer)
		if err == nil {
			return answer, nil
		}
		fmt.Fprintf(p.Out, "  %v\n", err)
	}
}

func (p *Person) line(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := p.In.ReadString('\n')
		if line != "" {
			err = nil
		}
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
