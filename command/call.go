package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"os"
	"syscall"
	"time"

	"paas/access"
	"paas/deploy"
	"paas/doctor"
	"paas/git"
	"paas/remote"
	"paas/say"
	"paas/terminal"
	"paas/volume"
)

// Server is what verbs know about the server.
type Server struct {
	Volume    *volume.Volume
	Keys      *access.Keys
	Tokens    access.Tokens
	Rights    access.Rights
	DiskSpace deploy.DiskSpace // the free disk space that a deploy needs
	Modules   deploy.Modules   // fetches submodules
	Inspector *git.Inspector   // limits what a commit may have

	PasswordCost int // of bcrypt, for auth:set; default: bcrypt's

	// Defaults for apps that set none.
	Mode         volume.Mode
	Prove, Grace time.Duration

	URL      func(app string) string // an app's address, for people
	GitHost  func() string           // where git connects: "my.server:2222"
	GitHTTPS func(app string) string // where git reaches it with a token; empty: nowhere
	SSHHost  func() string           // the same as GitHost, without the port
	Domain   func() string           // apps answer at <app>.<domain>
	HTTPS    func() bool             // visitors can use HTTPS, as soon as there is a certificate
	Resolver *net.Resolver           // answers for DNS

	Certificates Certificates
	Hint         func(verb, args string) string // how a person runs a verb from another machine
	Webhook      func(app string) string        // address of an app's webhook; empty: none is taken
	Isolation    func() (string, error)         // what keeps the apps apart; empty: no app runs here
	Settings     func() ([]Setting, error)      // the server's; nil: not for this caller

	Examine func(context.Context) iter.Seq[doctor.Finding] // what is wrong with the server

	// Agree reports whether the app's branch points at what is live.
	Agree   func(volume.App) (bool, error)
	Sidecar Sidecar
}

// ErrNoKeeper means that no role that keeps certificates could be reached.
var ErrNoKeeper = errors.New("no role that keeps certificates is reached")

// Certificates takes certificates that people bring, and serves them for an app's names. The errors
// include ErrNoKeeper. The app is
// named by its identity.
type Certificates interface {
	Set(ctx context.Context, app string, pem []byte) error
	Remove(ctx context.Context, app string) (removed bool, err error)
}

// Sidecar looks at the repositories that apps follow.
type Sidecar interface {
	// Peek looks at the app's repository, and changes nothing.
	Peek(ctx context.Context, app volume.App) (remote.Head, error)
	// Sync deploys what is there, in the name of by, and reports the release once it is live.
	Sync(
		ctx context.Context, app volume.App, by string, out io.Writer, report func(volume.Release),
	) error
}

// Setting is one of the server's settings.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Source  string `json:"source"` // flag, environment, a file's path, or default
	Default string `json:"default"`
	Unit    string `json:"unit"`
	Help    string `json:"help"`
}

// Caller is who runs a verb. One who is not local may not name files of the server.
type Caller struct {
	access.Identity
	Door string // "cli" or "ssh"
}

// Call is one run of a verb.
type Call struct {
	context.Context
	*Server
	Caller         Caller
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	OutputClosed <-chan struct{} // closed once the caller reads no more output; nil: never
	OnTerminal   bool            // a person reads Stdout
	Console      Console         // for raw verbs

	verb     string
	needs    access.Right // of the caller
	recorded bool         // in the audit log
}

// Console is the caller's terminal, for raw verbs.
type Console interface {
	// Take gives the terminal to the verb, key by key, until restore is called; t is nil if there
	// is none. The screen is where the verb then writes to, with or without a terminal.
	Take() (t *terminal.Terminal, screen io.Writer, restore func(), err error)
	// Signals are those that the caller sends to what runs; nil: they end the call.
	Signals() <-chan syscall.Signal
}

// App is the app of that name, if the caller may see it.
func (c *Call) App(name string) (volume.App, error) {
	return c.Rights.Admit(c.Caller.Identity, access.View, name)
}

// stillMay fails if the caller has not the right that the verb needs any more. Ask it after a wait: the
// right may be gone, and the name may be a later app's.
func (c *Call) stillMay(name string) error {
	if !c.needs.OnApp() {
		return nil
	}
	_, err := c.Rights.Admit(c.Caller.Identity, c.needs, name)
	return err
}

// apps are the names of all apps that the caller may see.
func (c *Call) apps() ([]string, error) { return c.Rights.Apps(c.Caller.Identity) }

// isAdmin reports whether the caller may do everything.
func (c *Call) isAdmin() bool { return c.Rights.Role(c.Caller.Identity) == access.Admin }

// mayCreate fails if the caller may not make an app of that name.
func (c *Call) mayCreate(name string) error {
	return c.taken(name, c.Rights.MayCreate(c.Caller.Identity, name))
}

// create makes an app, which the caller manages: an empty one, or that of a folder from a backup.
func (c *Call) create(name string, from ...string) (app volume.App, err error) {
	if len(from) > 0 {
		app, err = c.Rights.CreateFrom(c.Caller.Identity, name, from[0])
	} else {
		app, err = c.Rights.Create(c.Caller.Identity, name)
	}
	return app, c.taken(name, err)
}

// taken makes a fault of the error that a name is not free.
func (c *Call) taken(name string, err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	next := "choose another"
	if _, err := c.App(name); err == nil {
		next += ", or look at it: " + c.how("apps:info", name)
	}
	return conflict(next, "the name %s is taken", name)
}

// serving reports whether anything runs the volume's apps.
func (c *Call) serving() bool { return c.Volume.Claimed(volume.RoleApp) }

// how is what the caller types to run a verb.
func (c *Call) how(verb, args string) string {
	if c.Caller.IsLocal() {
		return fmt.Sprintf("paas %s %s", verb, args)
	}
	return c.Hint(verb, args)
}

// waiting tells the caller what the verb waits for.
func (c *Call) waiting(holder string) { say.Step(c.Stderr, "Waiting for %s to end", holder) }

// warn shows a warning beside the answer.
func (c *Call) warn(format string, args ...any) { say.Fault(c.Stderr, format, args...) }

// info shows a hint beside the answer.
func (c *Call) info(format string, args ...any) { say.Detail(c.Stderr, format, args...) }

// did records at once what the verb has done, for the audit log: what comes after it may take long,
// and may be interrupted. app is empty if it concerns the server.
func (c *Call) did(app, note string) { c.record(app, note, volume.OK) }

// record records how what the verb did has ended. Without it, [Run] records what was refused or
// failed.
func (c *Call) record(app, note string, end volume.End) {
	role := volume.RoleGit
	if c.Caller.IsLocal() {
		role = volume.RoleCommand
	}
	c.recorded = true
	c.Volume.Record(role, c.Caller.Actor(c.Caller.Door).Event(c.verb, app, note, end))
}

// prompt tells a person at the server's own terminal what standard input is read for.
func (c *Call) prompt(text string) {
	f, ok := c.Stdin.(*os.File)
	if !ok || !c.Caller.IsLocal() {
		return
	}
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintln(c.Stderr, text)
	}
}

// maxInput is how many bytes a verb reads.
const maxInput = 64 << 10

// readAll reads in to its end, or until ctx ends: a caller may never send an end. It fails if there is
// more than maxInput.
func readAll(ctx context.Context, in io.Reader) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	read := make(chan result, 1)
	go func() {
		content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		if len(content) > maxInput {
			err = wrong("", "the input has more than %d KiB", maxInput>>10)
		}
		read <- result{content, err}
	}()
	select {
	case r := <-read:
		return r.content, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// appInput is the input of a verb that takes an app and nothing else.
type appInput struct {
	App string `json:"app" arg:"APP"`
}

// removed is the answer of a verb that removes something by name.
type removed struct {
	Name string `json:"removed"`
}

func printRemoved(p *Page, r removed) { p.line("removed %s", r.Name) }
