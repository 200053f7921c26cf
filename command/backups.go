package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"paas/attach"
	"paas/backup"
	"paas/runtime/cron"
	"paas/s3"
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

// nextOf is the first time of a schedule after another; zero if there is none.
func nextOf(schedule string, after time.Time) time.Time {
	s, err := cron.Parse(schedule)
	if err != nil {
		return time.Time{}
	}
	return s.Next(after.Local())
}

// target is where the plan keeps backups.
func (c *Call) target(plan backup.Plan) (backup.Target, error) {
	if plan.Bucket == "" {
		return backup.Folder{Dir: c.whereOf(plan)}, nil
	}
	b, err := s3.Parse(plan.Bucket, plan.Endpoint, plan.Region)
	if err != nil {
		return nil, err
	}
	secret, err := backup.Book{Volume: c.Volume}.Secret()
	b.ID, b.Key = secret.ID, secret.Key
	return bucket{b}, err
}

// bucket adapts a bucket to backups.
type bucket struct{ s3.Bucket }

func (b bucket) List(ctx context.Context) (all []backup.Stored, err error) {
	err = b.Bucket.List(ctx, func(name string, size int64) {
		all = append(all, backup.Stored{Name: name, Bytes: size})
	})
	return all, err
}

// whereOf names where the plan keeps backups.
func (c *Call) whereOf(plan backup.Plan) string {
	return cmp.Or(plan.Bucket, plan.Folder, backup.Book{Volume: c.Volume}.Files())
}

// backupTrouble says what is wrong with the scheduled backups; empty: nothing.
func (c *Call) backupTrouble() (string, error) { return BackupTrouble(c.Volume) }

// BackupTrouble says in one line what is wrong with the server's scheduled backups: the last one failed,
// or one was due and did not happen. It is empty if nothing is.
func BackupTrouble(v *volume.Volume) (string, error) {
	return backup.Book{Volume: v}.Trouble(time.Now(), nextOf)
}

// BackupDue returns when the server's plan wants the next backup; ok is false if it wants none.
func BackupDue(v *volume.Volume) (at time.Time, ok bool, err error) {
	return backup.Book{Volume: v}.Due(nextOf)
}

// RunPlan makes the backup that the server's plan wants, and removes the oldest ones. It records how that
// ended. It does nothing if another process does so.
func RunPlan(c *Call) (err error) {
	book := backup.Book{Volume: c.Volume}
	unlock, ok, err := book.Lock()
	if err != nil || !ok {
		return err
	}
	defer unlock()
	if at, ok, err := book.Due(nextOf); err != nil || !ok || time.Now().Before(at) { // another did so just now
		return err
	}
	c.verb = "backup"
	plan, _, err := book.Plan()
	if err != nil {
		return err
	}
	run := backup.Run{At: time.Now().UTC()}
	kept, removed, err := c.runPlan(plan)
	if c.Err() != nil { // the server ends, and the next one begins again
		return c.Err()
	}
	run.Name, run.Bytes = kept.Name, kept.Bytes // empty if none was made
	note, end := fmt.Sprintf("%s, %s", kept.Name, say.Bytes(kept.Bytes)), volume.OK
	if len(removed) > 0 {
		note += "; removed " + strings.Join(removed, ", ")
	}
	if err != nil {
		run.Error = say.Plain(say.OneLine(err.Error()), 300)
		note, end = run.Error, volume.Broke
	}
	err = errors.Join(err, book.Record(run))
	c.record("", note, end)
	return err
}

func (c *Call) runPlan(plan backup.Plan) (kept backup.Kept, removed []string, err error) {
	var lock backup.Lock
	if len(plan.Recipients) > 0 {
		if lock, err = backup.ForRecipients(plan.Recipients); err != nil {
			return kept, nil, err
		}
	}
	target, err := c.target(plan)
	if err != nil {
		return kept, nil, err
	}
	quiet := progress{newJSONLines[Progress](io.Discard)}
	kept, end, err := c.backupMaker(quiet).Store(c, target, backup.What{}, lock)
	if err != nil {
		return backup.Kept{}, nil, err
	}
	removed, err = backup.Prune(c, target, "", plan.Keep)
	if len(end.Undumped) > 0 {
		err = errors.Join(err, fmt.Errorf("%s is whole, but the backup scripts of %s failed", kept.Name,
			strings.Join(end.Undumped, ", ")))
	}
	return kept, removed, err
}

// openBackup opens a backup that the caller names: a stored one, a file, or - for standard input.
func (c *Call) openBackup(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(c.Stdin), nil
	}
	if backup.IsKept(name) && c.isAdmin() {
		plan, _, err := backup.Book{Volume: c.Volume}.Plan()
		if err != nil {
			return nil, err
		}
		target, err := c.target(plan)
		if err != nil {
			return nil, err
		}
		if f, err := target.Open(c, name); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	if !c.Caller.IsLocal() {
		return nil, &Fault{
			Kind: Usage, Field: "file", Err: errors.New("over SSH a backup comes on standard input"),
			Next: c.how("restore", "- APP < FILE"),
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, wrong("file", "%s cannot be read: %w", name, errors.Unwrap(err))
	}
	return f, nil
}

// key is what opens a backup.
func (c *Call) key(identity string, passphrase, onStdin bool) (key backup.Key, err error) {
	switch {
	case identity != "" && !c.Caller.IsLocal():
		return key, wrong("identity", "the identity stays with you: age -d -i FILE BACKUP | %s",
			c.how("restore", "- APP"))
	case passphrase && onStdin:
		return key, wrong("passphrase", "standard input has the backup; decrypt it first: age -d BACKUP | %s",
			c.how("restore", "- APP"))
	case passphrase:
		text, err := c.readPassphrase()
		if err == nil {
			key, err = backup.Passphrase(text)
		}
		return key, err
	case identity != "":
		text, err := os.ReadFile(identity)
		if err != nil {
			return key, wrong("identity", "%s cannot be read: %w", identity, errors.Unwrap(err))
		}
		if key, err = backup.Identities(string(text)); err != nil {
			err = wrong("identity", "%w", err)
		}
		return key, err
	}
	return key, nil
}

// backupFault says what to do about a backup that cannot be read.
func (c *Call) backupFault(err error) error {
	next := ""
	switch {
	case errors.Is(err, backup.ErrEncrypted):
		next = "open it with --identity FILE or --passphrase"
	case errors.Is(err, backup.ErrTorn):
		next = "nothing was restored; take another backup, or copy it again"
	case errors.Is(err, backup.ErrTooLarge):
		return &volume.Problem{Err: err, Remedy: volume.Remedy{Do: volume.FreeDisk}}
	default:
		return err
	}
	return &Fault{Kind: Failed, Field: "file", Err: err, Next: next}
}
