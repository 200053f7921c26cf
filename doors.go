package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"golang.org/x/crypto/ssh"

	"paas/access"
	"paas/attach"
	"paas/command"
	"paas/command/cli"
	"paas/receiver"
	"paas/runtime"
	"paas/sshd"
	"paas/volume"
	"paas/web"
)

// keysDoor adapts the keys to sshd.
type keysDoor struct{ *access.Keys }

func (k keysDoor) Lookup(public ssh.PublicKey, from net.Addr) (sshd.Identity, error) {
	who, role, err := k.Keys.Lookup(public, addrOf(from))
	if errors.Is(err, access.ErrUnknown) {
		err = sshd.ErrUnknownKey
	}
	return sshd.Identity{Name: who.Name, Admin: role == access.Admin, Fingerprint: who.Key, From: from}, err
}

// addrOf returns the IP address of a client; the zero Addr if it has none.
func addrOf(from net.Addr) netip.Addr {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// identity returns whom sshd has let in.
func identity(who sshd.Identity) access.Identity {
	return access.Identity{Name: who.Name, Key: who.Fingerprint, From: addrOf(who.From)}
}

// gitDoor adapts the receiver to sshd.
type gitDoor struct {
	*receiver.Receiver
	rights access.Rights
}

func (g gitDoor) Serve(
	ctx context.Context, who sshd.Identity, service, app, protocol string,
	stdin io.Reader, stdout, stderr io.Writer,
) int {
	g.rights.Used(identity(who))
	return g.Receiver.Serve(ctx, receiver.Request{
		Actor: identity(who).Actor("git"), Client: gitClient{g.rights, identity(who)}, Service: service, App: app,
		Protocol: protocol, Stdin: stdin, Stdout: stdout, Stderr: stderr,
	})
}

// webDoor adapts the tokens and the receiver to web.
type webDoor struct {
	*paas
	receiver *receiver.Receiver
}

func (d webDoor) Lookup(secret string, from netip.Addr) (web.Identity, error) {
	who, err := access.Tokens{Keys: d.keys}.Lookup(secret, from)
	if err != nil && who.Token != "" { // it counted once
		d.vol.Record(volume.RoleGit, who.Actor("https").Event("login", "", "", volume.Refused))
	}
	return web.Identity{Name: who.Name, Token: who.Token, From: from}, d.explained(err)
}

func (d webDoor) Admit(who web.Identity, app string) error {
	client := d.client(who)
	_, err := client.Admit(app)
	if err != nil {
		d.vol.Record(volume.RoleGit, client.who.Actor("https").Event("git", app, "", volume.Refused))
	}
	if errors.Is(err, volume.ErrNoApp) {
		return web.NoApp{Err: d.explained(err)}
	}
	return d.explained(err)
}

// client returns the client of the receiver for the holder of a token.
func (d webDoor) client(who web.Identity) gitClient {
	return gitClient{d.rights(), access.Identity{Name: who.Name, Token: who.Token, From: who.From}}
}

func (d webDoor) Serve(ctx context.Context, who web.Identity, q web.Request) int {
	part := receiver.Rest
	if q.Listing {
		part = receiver.Listing
	}
	return d.receiver.Serve(ctx, receiver.Request{
		Actor: d.client(who).who.Actor("https"), Client: d.client(who), Service: q.Service, App: q.App, Protocol: q.Protocol,
		Part: part, Stdin: q.Stdin, Stdout: q.Stdout, Stderr: q.Stderr,
	})
}

// explained adds to an error what can be done about it.
func (d webDoor) explained(err error) error {
	if advice := d.advice(volume.RemedyOf(err)); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// gitClient answers the receiver what a person may do.
type gitClient struct {
	rights access.Rights
	who    access.Identity
}

func (c gitClient) Admit(app string) (volume.App, error) {
	return c.rights.Admit(c.who, access.Deploy, app)
}

func (c gitClient) Create(app string) (volume.App, error) { return c.rights.Create(c.who, app) }

// verbsDoor adapts the command table to sshd.
type verbsDoor struct{ *paas }

// Run runs one command line of the table.
func (v verbsDoor) Run(
	ctx context.Context, who sshd.Identity, args []string, console sshd.Console,
) int {
	table := cli.Table{
		Rows: append(command.Rows(), versionRow()),
		Begin: func(c *command.Call) (end func(), err error) {
			c.Server = v.server()
			c.Caller = command.Caller{Identity: identity(who), Door: "ssh"}
			c.OutputClosed, c.OnTerminal = console.OutputClosed, console.Terminal != nil
			c.Console = remoteConsole{console}
			return func() {}, nil
		},
	}
	v.rights().Used(identity(who))
	const about = "git push deploys; these commands do the rest."
	root := cli.New(v.addresses.Verb("", ""), about, v.rights().Role(identity(who)), args, table)
	root.Version = buildVersion()
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(console.Stdin)
	root.SetOut(console.Stdout)
	root.SetErr(console.Stderr)
	return cli.Execute(ctx, root, console.Stderr)
}

func (v verbsDoor) Raw(args []string) bool {
	row, ok := command.Find(command.Rows(), args[0])
	return ok && command.IsRaw(row)
}

// runDoor adapts the runtime to attach.
type runDoor struct{ *runtime.Runtime }

func (d runDoor) run(ctx context.Context, s attach.Session) (int, error) {
	once := runtime.Once{
		App: s.App, Argv: s.Argv, By: s.By, In: s.In, Out: s.Out, Err: s.Err, Terminal: s.Terminal,
		Signals: s.Signals,
	}
	if !s.Detach {
		status, err := d.RunOnce(ctx, once)
		return status, command.AsFault(err)
	}
	name, status, err := d.Runtime.Detach(once)
	if err == nil {
		_, err = io.WriteString(s.Out, name)
	}
	return status, command.AsFault(err)
}
