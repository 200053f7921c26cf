package command

import (
	"errors"
	"strings"
	"time"

	"paas/access"
	"paas/backup"
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
	}
}

type backupInput struct {
	App        string   `json:"app" arg:"[APP]"`
	Recipients []string `json:"recipients" flag:"recipient,r" value:"AGE1..." help:"encrypt for this age recipient, who alone can read it; may be repeated"`
	Passphrase bool     `json:"passphrase" flag:"passphrase" help:"encrypt with a passphrase, read from standard input"`
	Logs       bool     `json:"logs" flag:"logs" help:"with the logs of the apps"`
}

// needs asks for an admin for the whole server.
func (in *backupInput) needs(*Call) access.Right {
	if in.App == "" {
		return access.Admin
	}
	return access.Manage
}

func (in *backupInput) fillsStdout() bool { return true }

func writeBackup(c *Call, in backupInput, events Teller[Progress]) error {
	p := progress{events}
	if c.OnTerminal {
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
	end, err := c.backupMaker(p).Write(c, c.Stdout, backup.What{App: in.App, Logs: in.Logs}, lock)
	if err != nil {
		return err
	}
	return c.tellBackup(in.App, end, lock, began, p)
}
