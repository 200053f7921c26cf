package command

import (
	"fmt"
	"strings"

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

// progressLog turns text in the form of package say, as package deploy writes it, into events. Each
// Write has whole lines, as those of package say do, so it keeps nothing of a line without an end.
type progressLog struct{ progress }

func (l progressLog) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		e := Progress{Event: Output, Text: strings.TrimSuffix(line, "\n")}
		if text, ok := strings.CutPrefix(e.Text, say.StepPrefix); ok {
			e = Progress{Event: Step, Text: text}
		} else if text, ok := strings.CutPrefix(e.Text, say.DetailPrefix); ok {
			e = Progress{Event: Detail, Text: text}
		}
		l.tell(e)
	}
	return len(text), nil
}
