package command

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"paas/deploy"
	"paas/say"
	"paas/volume"
)

// Progress is a step of a verb that takes a while, such as a deploy.
type Progress struct {
	Event   ProgressEvent `json:"event"`
	Text    string        `json:"text"`
	Release *Released     `json:"release,omitempty"` // of Live

	Formation map[string]int `json:"formation,omitempty"` // of an Answer that tells it
}

// ProgressEvent says what a [Progress] is.
type ProgressEvent string

const (
	Step      ProgressEvent = "step"       // begins now
	Detail    ProgressEvent = "detail"     // of the step
	Output    ProgressEvent = "output"     // a line that a program printed
	Note      ProgressEvent = "note"       // a warning or a hint beside the answer
	DeployKey ProgressEvent = "deploy-key" // a public key, for a git host
	Answer    ProgressEvent = "answer"     // the end
	Live      ProgressEvent = "live"       // the end: a release is live
)

// Released is what became of a release.
type Released struct {
	App    string `json:"app"`
	Number int    `json:"number"`
	URL    string `json:"url,omitempty"` // where it answers visitors
}

// printProgress shows each event at once.
func printProgress(p *Page) Teller[Progress] { return progressPage{p} }

type progressPage struct{ *Page }

func (p progressPage) Tell(e Progress) error {
	switch e.Event {
	case Step, Live:
		say.Step(p.Page, "%s", e.Text)
	case Detail:
		say.Detail(p.Page, "%s", e.Text)
	case Note:
		p.warn("%s", e.Text)
	case Answer:
		if e.Text != "" {
			p.line("%s", e.Text)
		}
	case Output, DeployKey:
		p.line("%s", e.Text)
	}
	return p.err
}

func (p progressPage) Flush() error { return nil }

// progress tells what happens in a verb. The verb goes on if nobody listens.
type progress struct{ to Teller[Progress] }

func (p progress) tell(e Progress) {
	if p.to.Tell(e) == nil {
		p.to.Flush()
	}
}

func (p progress) step(format string, args ...any) {
	p.tell(Progress{Event: Step, Text: fmt.Sprintf(format, args...)})
}

func (p progress) detail(format string, args ...any) {
	p.tell(Progress{Event: Detail, Text: fmt.Sprintf(format, args...)})
}

func (p progress) note(format string, args ...any) {
	p.tell(Progress{Event: Note, Text: fmt.Sprintf(format, args...)})
}

func (p progress) answer(format string, args ...any) {
	p.tell(Progress{Event: Answer, Text: fmt.Sprintf(format, args...)})
}

// live tells that r, which m has made, is live.
func (p progress) live(m deploy.Maker, r volume.Release) {
	released := &Released{App: m.App.Name, Number: r.N, URL: m.Address(r)}
	p.tell(Progress{Event: Live, Text: m.LiveLine(r), Release: released})
}

// progressLog turns text in the form of package say, as package deploy writes it, into events. Its
// methods may be called from any goroutine.
type progressLog struct {
	progress
	mu   sync.Mutex
	line []byte // the last one, without its end
}

func (l *progressLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(l.line, text...)
	for {
		line, rest, ended := bytes.Cut(l.line, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		l.tellLine(string(line))
		l.line = rest
	}
}

// Close tells the last line if it has no end.
func (l *progressLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		l.tellLine(string(l.line))
	}
	l.line = nil
	return nil
}

func (l *progressLog) tellLine(line string) {
	events := map[string]ProgressEvent{say.StepPrefix: Step, say.DetailPrefix: Detail}
	for prefix, event := range events {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			l.tell(Progress{Event: event, Text: text})
			return
		}
	}
	l.tell(Progress{Event: Output, Text: line})
}

var _ io.WriteCloser = (*progressLog)(nil)
