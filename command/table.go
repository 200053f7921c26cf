package command

import (
	"errors"
	"slices"

	"paas/access"
	"paas/volume"
)

// Rows is the table.
func Rows() []Row {
	return slices.Concat(appRows(), configRows(), settingRows(), storageRows(),
		psRows(), scaleRows(), limitRows(), sleepRows(), domainRows(), redirectRows(), certRows(), visitorRows(),
		releaseRows(), rebuildRows(), logRows(),
		cronRows(), runRows(), sourceRows(), accessRows(), keyRows(), tokenRows(), eventRows(), doctorRows(),
		backupRows(), restoreRows())
}

// Head is what a door shows of a row.
type Head struct {
	Name    string   // "config:set"
	Aliases []string // other names, as Heroku or Dokku have for it
	Short   string   // one line that begins with a lower-case verb
	Example string   // words after the name, as a person would type them
	Group   Group
	Needs   access.Right // with the app that is the first argument, or on the server
	More    string       // what help shows below the flags; may be empty
}

// Group is what the help lists a verb under.
type Group string

const (
	Apps     Group = "apps"
	Config   Group = "config"
	Running  Group = "run"
	Visitors Group = "visitors"
	Sources  Group = "source"
	Keys     Group = "keys"
	Operate  Group = "server"
)

// Row is one row of the table.
type Row interface {
	About() Head
	Input() any // a new input, a pointer to a struct whose fields [Fields] describes
	run(c *Call, in any, format Format) error
}

// Verb is a row with one answer. An Out that is a slice is a list.
type Verb[In, Out any] struct {
	Head
	Run  func(*Call, In) (Out, error)
	Text func(*Page, Out) // writes the answer for people
}

func (v Verb[In, Out]) About() Head { return v.Head }

func (v Verb[In, Out]) Input() any { return new(In) }

func (v Verb[In, Out]) run(c *Call, in any, format Format) error {
	out, err := v.Run(c, *in.(*In))
	if err != nil {
		return err
	}
	if format == JSON {
		return writeJSON(c.Stdout, out)
	}
	page := newPage(c)
	v.Text(page, out)
	return page.err
}

// Stream is a row that tells what happens while it runs. As JSON each event is a line.
type Stream[In, Event any] struct {
	Head
	Run  func(*Call, In, Teller[Event]) error
	Text func(*Page) Teller[Event] // writes events for people
}

// Teller takes the events of a stream. An event may be shown as late as at the next Flush.
type Teller[Event any] interface {
	Tell(Event) error
	Flush() error
}

func (s Stream[In, Event]) About() Head { return s.Head }

func (s Stream[In, Event]) Input() any { return new(In) }

func (s Stream[In, Event]) run(c *Call, in any, format Format) error {
	told := c
	if f, ok := in.(interface{ fillsStdout() bool }); ok && f.fillsStdout() { // the events go beside it
		beside := *c
		beside.Stdout = c.Stderr
		told = &beside
	}
	var teller Teller[Event]
	if format == JSON {
		teller = newJSONLines[Event](told.Stdout)
	} else {
		teller = s.Text(newPage(told))
	}
	err := s.Run(c, *in.(*In), teller)
	if flushErr := teller.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// Raw is a row that takes the caller's terminal and signals, and has no JSON. Its flags come before
// its first argument: what follows may be a command with flags of its own.
type Raw[In any] struct {
	Head
	Run func(*Call, In) error
}

func (r Raw[In]) About() Head { return r.Head }

func (r Raw[In]) Input() any { return new(In) }

func (r Raw[In]) run(c *Call, in any, _ Format) error { return r.Run(c, *in.(*In)) }

func (r Raw[In]) raw() {}

// IsRaw reports whether the row is a [Raw] one.
func IsRaw(row Row) bool {
	_, ok := row.(interface{ raw() })
	return ok
}

// Called reports whether the row has that name, or that alias.
func (h Head) Called(name string) bool { return h.Name == name || slices.Contains(h.Aliases, name) }

// Find returns the row of that name or alias.
func Find(rows []Row, name string) (Row, bool) {
	for _, r := range rows {
		if r.About().Called(name) {
			return r, true
		}
	}
	return nil, false
}

// Run runs row with in, a value of row.Input, and writes its answer in the format, if the caller has
// the right that the row needs. An error is a *[Fault] or an [Exit].
func Run(c *Call, row Row, in any, format Format) error {
	c.verb = row.About().Name
	err := c.admit(row, in)
	end := volume.Refused
	if err == nil {
		end = volume.Broke
		err = row.run(c, in, format)
	}
	err = AsFault(err)
	var fault *Fault
	if errors.As(err, &fault) && c.Server != nil && !c.recorded && c.Err() == nil &&
		(end == volume.Refused || fault.Kind == Failed || fault.Kind == Conflict) {
		c.record(namedApp(in), "", end)
	}
	if errors.As(err, &fault) && fault.Kind == NotFound && fault.Field == "app" {
		if next := c.inOrder(in); next != "" {
			fault.Next = next
		}
	}
	return err
}

// admit fails if the caller may not do what the row does. No verb checks that itself.
func (c *Call) admit(row Row, in any) error {
	if c.Server == nil { // it is about no server
		return nil
	}
	needs, app := row.About().Needs, appOf(in)
	if own, ok := in.(interface{ needs(*Call) access.Right }); ok { // less than the row says, or more
		needs = own.needs(c)
	}
	c.needs = needs
	switch {
	case needs == access.None: // a mistake in the table
		needs = access.Admin
	case needs.OnApp() && app == "": // it is about all that the caller may see
		needs = access.Anyone
	}
	if !needs.OnApp() {
		return c.Rights.AdmitToServer(c.Caller.Identity, needs)
	}
	_, err := c.Rights.Admit(c.Caller.Identity, needs, app)
	if maker, ok := in.(interface{ makesApp() bool }); ok && maker.makesApp() && errors.Is(err, volume.ErrNoApp) {
		return c.mayCreate(app)
	}
	return err
}
