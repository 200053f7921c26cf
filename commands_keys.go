package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"paas/access"
)

var keyVerbs = []verb{
	{use: "keys", short: "the keys that may enter", args: noArgs, admin: true, flags: withFormat, run: listKeys},
	{use: "keys:add NAME [FILE]", short: "let a public key enter, from FILE or standard input", args: args(1, 2), admin: true, run: addKey,
		flags: func(cmd *cobra.Command) { cmd.Flags().Bool("admin", false, "may add and remove keys too") }},
	{use: "keys:remove NAME", short: "shut a key out", args: args(1, 1), admin: true, run: removeKey},
}

func listKeys(c *call) error {
	keys, err := c.keys.List()
	if err != nil {
		return err
	}
	const none = "no keys yet; paas keys:add NAME ~/.ssh/id_ed25519.pub adds one, and the first is an admin"
	return list(c, keys, none, "NAME\tADMIN\tTYPE\tFINGERPRINT\tCOMMENT", func(k access.Key) string {
		admin := "-"
		if k.Admin {
			admin = "admin"
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", k.Name, admin, k.Type, k.Fingerprint, orNone(plain(k.Comment)))
	})
}

func addKey(c *call) error {
	in := c.in
	if len(c.args) == 2 && c.args[1] != "-" {
		if c.remote {
			return usageError{errors.New("over SSH the key comes on standard input: keys:add NAME < FILE")}
		}
		f, err := os.Open(c.args[1])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	} else if f, ok := c.in.(*os.File); ok && !c.remote {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(c.err, "paste the public key, then Ctrl-D:")
		}
	}
	public, err := readAll(c, in)
	if err != nil {
		return err
	}
	admin, _ := c.cmd.Flags().GetBool("admin")
	key, err := c.keys.Add(c.args[0], public, admin)
	if err != nil {
		return err
	}
	c.record("keys:add", "", key.Name+" "+key.Fingerprint)
	may := "may push"
	if key.Admin {
		may = "may push, and is an admin"
	}
	fmt.Fprintf(c.out, "%s %s %s\n", key.Name, may, key.Fingerprint)
	return nil
}

// readAll reads in to its end, 64 KiB at most, or until ctx ends: somebody may never send an end.
func readAll(ctx context.Context, in io.Reader) ([]byte, error) {
	type result struct {
		content []byte
		err     error
	}
	read := make(chan result, 1)
	go func() {
		content, err := io.ReadAll(io.LimitReader(in, 64<<10))
		read <- result{content, err}
	}()
	select {
	case r := <-read:
		return r.content, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func removeKey(c *call) error {
	if err := c.keys.Remove(c.args[0]); err != nil {
		return err
	}
	c.record("keys:remove", "", c.args[0])
	fmt.Fprintln(c.out, "removed", c.args[0])
	return nil
}
