package command

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"paas/access"
	"paas/backup"
	"paas/runtime/cron"
	"paas/s3"
	"paas/say"
	"paas/volume"
)

func backupRows() []Row {
	return []Row{
		Stream[backupInput, Progress]{
			Head: Head{
				Name: "backup", Group: Operate, Needs: access.Manage,
				Example: "blog --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p > blog.backup",
				Short:   "write a backup of an app, or of the whole server, to standard output",
				More: "It has settings, releases, the repository, the app's files and its source; of a server also\n" +
					"keys, rights and certificates. Whoever has it has all secrets of the app: encrypt it with\n" +
					"--recipient, or with --passphrase, which is read from standard input.",
			},
			Run:  writeBackup,
			Text: printProgress,
		},
		Verb[struct{}, backupList]{
			Head: Head{
				Name: "backup:list", Group: Operate, Needs: access.Admin,
				Short: "list the backups where backup:schedule says, and how the last one went",
			},
			Run:  listBackups,
			Text: printBackups,
		},
		Stream[verifyInput, Progress]{
			Head: Head{
				Name: "backup:verify", Group: Operate, Needs: access.Admin,
				Example: "paas-20261130T030000Z.backup",
				Short:   "read a stored backup to its end, and compare its checksum; by default the newest one",
				More: "On the server itself it may be a file too, and - is standard input. The content of an encrypted\n" +
					"one is read only with what opens it.",
			},
			Run:  verifyBackup,
			Text: printProgress,
		},
		Stream[scheduleInput, Progress]{
			Head: Head{
				Name: "backup:schedule", Group: Operate, Needs: access.Admin,
				Example: "@daily --keep 14 --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
				Short:   "back up the whole server on a schedule, such as @daily or '30 3 * * *'; off ends it",
				More: "Without WHEN it shows the plan. What is not given is the default, also if it was set before.\n" +
					"A failure is in events, in the server's log, and in apps:list for admins.",
			},
			Run:  scheduleBackups,
			Text: printProgress,
		},
	}
}

type backupInput struct {
	App        string   `json:"app" arg:"[APP]"`
	Recipients []string `json:"recipients" flag:"recipient,r" value:"AGE1..." help:"encrypt for this age recipient, who alone can read it; may be repeated"`
	Passphrase bool     `json:"passphrase" flag:"passphrase" help:"encrypt with a passphrase, read from standard input"`
	Logs       bool     `json:"logs" flag:"logs" help:"with the logs of the apps"`
	Store      bool     `json:"store" flag:"store" help:"store it where backup:schedule says, not on standard output; for admins"`
}

// needs asks for an admin for the whole server, and for its store.
func (in *backupInput) needs(*Call) access.Right {
	if in.App == "" || in.Store {
		return access.Admin
	}
	return access.Manage
}

func (in *backupInput) fillsStdout() bool { return !in.Store }

func writeBackup(c *Call, in backupInput, events Teller[Progress]) error {
	p := progress{events}
	if c.OnTerminal && !in.Store {
		return &Fault{
			Kind: Usage, Err: errors.New("a backup is no text for a terminal"),
			Next: "write it into a file: " + c.how("backup", strings.TrimSpace(in.App+" > FILE")),
		}
	}
	if in.App != "" {
		if _, err := c.App(in.App); err != nil {
			return err
		}
	}
	lock, err := c.lock(in.Recipients, in.Passphrase)
	if err != nil {
		return err
	}
	began := time.Now()
	if in.Store {
		return c.store(in, lock, began, p)
	}
	end, err := c.backupMaker(p).Write(c, c.Stdout, backup.What{App: in.App, Logs: in.Logs}, lock)
	if err != nil {
		return err
	}
	return c.tellBackup(in.App, end, lock, began, p)
}

// store writes a backup to where the plan says.
func (c *Call) store(in backupInput, lock backup.Lock, began time.Time, p progress) error {
	book := backup.Book{Volume: c.Volume}
	plan, _, err := book.Plan()
	if err != nil {
		return err
	}
	if !lock.Closed() && len(plan.Recipients) > 0 {
		if lock, err = backup.ForRecipients(plan.Recipients); err != nil {
			return err
		}
	}
	target, err := c.target(plan)
	if err != nil {
		return err
	}
	kept, end, err := c.backupMaker(p).Store(c, target, backup.What{App: in.App, Logs: in.Logs}, lock)
	if err != nil {
		return err
	}
	p.detail("%s: %s", kept.Name, say.Bytes(kept.Bytes))
	return c.tellBackup(in.App, end, lock, began, p)
}

// backupList is what is stored.
type backupList struct {
	Where   string        `json:"where"`
	Backups []backup.Kept `json:"backups"`
	Trouble string        `json:"trouble,omitempty"`
	Next    time.Time     `json:"next,omitzero"`
}

func listBackups(c *Call, _ struct{}) (l backupList, err error) {
	book := backup.Book{Volume: c.Volume}
	plan, _, err := book.Plan()
	if err != nil {
		return l, err
	}
	target, err := c.target(plan)
	if err == nil {
		l.Backups, err = backup.List(c, target)
	}
	if err == nil {
		l.Trouble, err = c.backupTrouble()
	}
	if err == nil {
		l.Next, _, err = book.Due(nextOf)
	}
	l.Where, l.Backups = c.whereOf(plan), listed(l.Backups)
	return l, err
}

func printBackups(p *Page, l backupList) {
	p.line("in %s", l.Where)
	if len(l.Backups) > 0 {
		list(p, l.Backups, "BACKUP\tOF\tMADE\tSIZE", func(k backup.Kept) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s", k.Name, cmp.Or(k.App, "the server"), when(k.Made), say.Bytes(k.Bytes))
		})
	} else {
		p.line("no backups yet; backup --store makes one")
	}
	if l.Trouble != "" {
		p.warn("%s", plain(l.Trouble))
	}
	if !l.Next.IsZero() {
		p.line("the next one: %s", when(l.Next))
	}
}

type verifyInput struct {
	Name       string `json:"name" arg:"[NAME|FILE]"`
	Identity   string `json:"identity" flag:"identity,i" value:"FILE" help:"the file of age-keygen that opens it; only on the server itself"`
	Passphrase bool   `json:"passphrase" flag:"passphrase" help:"open it with a passphrase, read from standard input"`
}

func verifyBackup(c *Call, in verifyInput, events Teller[Progress]) error {
	p := progress{events}
	key, err := c.key(in.Identity, in.Passphrase, in.Name == "-")
	if err != nil {
		return err
	}
	if in.Name != "" && !backup.IsKept(in.Name) {
		f, err := c.openBackup(in.Name)
		if err != nil {
			return err
		}
		defer f.Close()
		v, err := backup.Check(c, f, key)
		return c.tellVerified(in.Name, v, err, p)
	}
	plan, _, err := backup.Book{Volume: c.Volume}.Plan()
	if err != nil {
		return err
	}
	target, err := c.target(plan)
	if err != nil {
		return err
	}
	if in.Name == "" {
		all, err := backup.List(c, target)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return conflict("backup --store makes one", "there are no backups in %s", c.whereOf(plan))
		}
		in.Name = all[len(all)-1].Name
	}
	v, err := backup.Verify(c, target, in.Name, key, false)
	return c.tellVerified(in.Name, v, err, p)
}

// tellVerified tells and records what became of a verification.
func (c *Call) tellVerified(name string, v backup.Verified, err error, p progress) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Fault{Kind: NotFound, Field: "name", Err: fmt.Errorf("there is no backup %s", plain(name)), Next: "see backup:list"}
	}
	if err != nil {
		c.record("", plain(name), volume.Broke)
		if errors.Is(err, backup.ErrTorn) {
			err = &Fault{Kind: Failed, Err: err, Next: "take another backup"}
		}
		return c.backupFault(err)
	}
	c.did("", plain(name))
	switch {
	case v.Read && v.Sum:
		p.step("%s is whole, and has its checksum", plain(name))
	case v.Read:
		p.step("%s is whole", plain(name))
	case v.Sum:
		p.step("%s has its checksum; its content is encrypted, and was not read", plain(name))
	default:
		return conflict("open it with --identity FILE or --passphrase",
			"%s is encrypted and has no checksum beside it: nothing is known of it", plain(name))
	}
	if v.Read {
		p.detail("%s: %d files, %s", strings.Join(v.Apps, ", "), v.End.Files, say.Bytes(v.End.Bytes))
	}
	for _, note := range v.End.Notes {
		p.note("%s", plain(note))
	}
	return nil
}

type scheduleInput struct {
	When       string   `json:"when" arg:"[WHEN]"`
	Folder     string   `json:"folder" flag:"folder" value:"DIR" help:"a folder of the server, best on another disk (default backups/files below PAAS_ROOT); only on the server itself"`
	Bucket     string   `json:"bucket" flag:"bucket" value:"s3://NAME/DIR" help:"a bucket of Amazon S3, or of a store that speaks its protocol"`
	Endpoint   string   `json:"endpoint" flag:"endpoint" value:"URL" help:"the address of that store, such as https://s3.example.com; otherwise Amazon's"`
	Region     string   `json:"region" flag:"region" value:"R" help:"the region of the bucket, such as eu-central-1"`
	Secret     bool     `json:"secret" flag:"secret" help:"read the access key of the bucket from standard input: its id, and on the next line its secret"`
	Keep       int      `json:"keep" flag:"keep" value:"N" default:"7" help:"how many backups of the server are kept"`
	Recipients []string `json:"recipients" flag:"recipient,r" value:"AGE1..." help:"encrypt for this age recipient, who alone can read it; may be repeated"`
}

const maxKeep = 10_000

func scheduleBackups(c *Call, in scheduleInput, events Teller[Progress]) error {
	p := progress{events}
	book := backup.Book{Volume: c.Volume}
	if in.When == "" {
		return c.tellPlan(p)
	}
	plan := backup.Plan{Since: time.Now().UTC(), Keep: in.Keep, Recipients: in.Recipients, Folder: in.Folder}
	if in.When != "off" {
		plan.When = in.When
		if _, err := cron.Parse(in.When); err != nil {
			return wrong("when", "%w", err)
		}
	}
	if in.Keep < 1 || in.Keep > maxKeep {
		return wrong("keep", "--keep is a number from 1 to %d", maxKeep)
	}
	if len(in.Recipients) > 0 {
		if _, err := backup.ForRecipients(in.Recipients); err != nil {
			return wrong("recipients", "%w", err)
		}
	}
	if in.Folder != "" && (!c.Caller.IsLocal() || !filepath.IsAbs(in.Folder)) {
		return wrong("folder", "a folder is an absolute path, and only somebody on the server itself may name one")
	}
	if err := c.takeBucket(in, &plan); err != nil {
		return err
	}
	if err := book.SetPlan(plan); err != nil {
		return err
	}
	c.did("", strings.TrimSpace(cmp.Or(plan.When, "off")+" "+plan.Bucket))
	return c.tellPlan(p)
}

// tellPlan tells when backups are made, and where they are.
func (c *Call) tellPlan(p progress) error {
	book := backup.Book{Volume: c.Volume}
	plan, _, err := book.Plan()
	if err != nil {
		return err
	}
	at, ok, err := book.Due(nextOf)
	switch {
	case err != nil:
		return err
	case !ok:
		p.answer("no backups are scheduled; backup:schedule @daily makes one each night")
		return nil
	}
	p.step("The whole server is backed up: %s, next at %s", plan.When, when(at))
	p.detail("to %s; the last %d are kept", c.whereOf(plan), plan.Keep)
	if len(plan.Recipients) == 0 {
		p.detail("not encrypted; --recipient age1... lets only you read them")
	}
	if plan.Bucket == "" && plan.Folder == "" {
		p.detail("that is on the server's own disk: copy them elsewhere")
	}
	if !c.Volume.Claimed(volume.RoleGit) {
		p.answer(laterText)
	}
	return nil
}

// takeBucket puts the bucket into the plan, if one is named, and stores its access key. It fails if the
// bucket cannot be read.
func (c *Call) takeBucket(in scheduleInput, plan *backup.Plan) error {
	book := backup.Book{Volume: c.Volume}
	if in.Bucket == "" {
		if in.Endpoint != "" || in.Region != "" || in.Secret {
			return wrong("bucket", "--endpoint, --region and --secret are for a --bucket")
		}
		return nil
	}
	if in.Folder != "" {
		return wrong("bucket", "--bucket and --folder exclude each other")
	}
	to, err := s3.Parse(in.Bucket, in.Endpoint, in.Region)
	if err != nil {
		return wrong("bucket", "%w", err)
	}
	plan.Bucket, plan.Endpoint, plan.Region = in.Bucket, in.Endpoint, in.Region
	old, _, err := book.Plan()
	if err != nil {
		return err
	}
	secret, err := book.Secret()
	if err != nil {
		return err
	}
	same := old.Bucket == plan.Bucket && old.Endpoint == plan.Endpoint && secret.ID != ""
	if !in.Secret && !same {
		return wrong("secret", "--secret reads the access key of the bucket from standard input: ... --secret < FILE")
	}
	if in.Secret {
		content, err := readAll(c, c.Stdin)
		if err != nil {
			return err
		}
		words := strings.Fields(string(content))
		if len(words) != 2 {
			return wrong("secret", "standard input must have two lines: the id of the access key, and its secret")
		}
		secret = backup.Secret{ID: words[0], Key: words[1]}
	}
	to.ID, to.Key = secret.ID, secret.Key
	if _, err := (bucket{to}).List(c); err != nil {
		return fmt.Errorf("the bucket cannot be read: %w", err)
	}
	return book.SetSecret(secret)
}
