package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"paas/attach"
	"paas/backup"
	"paas/say"
	"paas/volume"
)

// tellBackup tells and records a backup that is whole. It fails if an app could not dump.
func (c *Call) tellBackup(
	app string, end backup.End, lock backup.Lock, began time.Time, p progress,
) error {
	what, took := app, time.Since(began).Round(100*time.Millisecond)
	if app == "" {
		what = "the server (" + strings.Join(end.Apps, ", ") + ")"
	}
	if len(end.Undumped) > 0 {
		c.record(app, "the scripts of "+strings.Join(end.Undumped, ", ")+" failed", volume.Broke)
	} else {
		c.did(app, say.Bytes(end.Bytes))
	}
	p.step("Backup of %s: %d files, %s, in %s", what, end.Files, say.Bytes(end.Bytes), took)
	if !lock.Closed() {
		p.detail("it is not encrypted, and has secrets")
	}
	for _, note := range end.Notes {
		p.note("%s", plain(note))
	}
	if len(end.Undumped) > 0 {
		return &Fault{Kind: Failed, Err: fmt.Errorf("the backup is whole, but the backup scripts of %s failed",
			strings.Join(end.Undumped, ", "))}
	}
	return nil
}

// lock is for whom a backup is encrypted.
func (c *Call) lock(recipients []string, passphrase bool) (lock backup.Lock, err error) {
	switch {
	case len(recipients) > 0 && passphrase:
		return lock, wrong("passphrase", "--recipient and --passphrase exclude each other")
	case len(recipients) > 0:
		if lock, err = backup.ForRecipients(recipients); err != nil {
			err = wrong("recipients", "%w", err)
		}
		return lock, err
	case passphrase:
		text, err := c.readPassphrase()
		if err == nil {
			lock, err = backup.ForPassphrase(text)
		}
		return lock, err
	}
	return lock, nil
}

// backupMaker returns what writes backups for the caller.
func (c *Call) backupMaker(p progress) backup.Maker {
	return backup.Maker{
		Volume: c.Volume, Keys: c.Keys, Who: c.Caller.Name + "'s " + c.verb,
		Waiting: func(app, holder string) { p.detail("%s: waiting for %s to end", app, holder) },
		Dump:    func(ctx context.Context, app volume.App) error { return c.dump(ctx, app, p) },
	}
}

// dump runs the app's own script for backups, if its app.json has one.
func (c *Call) dump(ctx context.Context, app volume.App, p progress) error {
	live, err := app.Release(app.Live())
	if app.Live() == 0 || volume.IsDamage(err) || err == nil && live.OnlyFiles() {
		return nil // there is nothing that could run
	}
	if err != nil {
		return err
	}
	file, err := fileOf(app, live)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || file.Backup == "" {
		return err
	}
	if !c.serving() {
		return conflict("start it: paas serve", "%s has a backup script in app.json, and only the server can run it", app.Name)
	}
	p.detail("%s: %s", app.Name, plain(file.Backup))
	var out bytes.Buffer
	shown := say.NewBounded(&out, 1<<10, 2<<10)
	call := *c
	call.Context = ctx
	err = call.attach(
		attach.Request{App: app.Name, Argv: []string{"/bin/sh", "-c", file.Backup}, By: "backup"},
		attach.Streams{In: strings.NewReader(""), Out: shown, Err: shown},
	)
	if err == nil || ctx.Err() != nil {
		return err
	}
	shown.Close()
	problem := []string{fmt.Sprintf("its backup script failed: %v", err)}
	for line := range strings.Lines(out.String()) {
		problem = append(problem, "  "+plain(strings.TrimRight(line, "\n")))
	}
	return &Fault{Kind: Failed, Err: errors.New(strings.Join(problem, "\n"))}
}

// readPassphrase reads a passphrase from standard input: everybody on the machine could read it on a
// command line.
func (c *Call) readPassphrase() (string, error) {
	c.prompt("type the passphrase and Enter, then Ctrl-D:")
	content, err := readAll(c, c.Stdin)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return "", wrong("passphrase", "standard input must have one line, the passphrase")
	}
	return text, nil
}
