package appjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tailscale/hujson"

	"paas/builder/tree"
	"paas/runtime/health"
	"paas/say"
	"paas/volume"
)

// File is the content of an app.json.
type File struct {
	Formation  map[string]int            // process type -> number of processes, if given
	Checks     map[string][]health.Check // process type -> health checks, in order
	Predeploy  string                    // command line to run before the release phase
	Postdeploy string                    // command line to run once all are healthy, before traffic
	FirstTime  string                    // like Postdeploy, only in the app's first release
	Backup     string                    // command line to run before a backup of the app
	Cron       []Cron
	Storage    []string // folders of the tree that are kept across releases; of this server only
}

// Cron is a scheduled command.
type Cron struct {
	Schedule    string // five fields, or @daily and similar: crontab(5)
	Command     string // as in a Procfile
	Concurrency string // if the last run has not ended: forbid (default), allow or replace
}

const maxSize = 1 << 20 // bytes; a usual app.json has a few hundred

// Read reads the app.json in dir. It returns the zero File if there is none.
func Read(dir string) (File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return File{}, err
	}
	defer root.Close()
	content, err := tree.ReadIf(root, "app.json", maxSize)
	if content == nil || err != nil {
		return File{}, err
	}
	return Parse(content)
}

// Parse parses an app.json. Its error begins with "app.json: " and names the field.
func Parse(content []byte) (File, error) {
	f, err := parse(content)
	if err != nil {
		return File{}, fmt.Errorf("app.json: %w", err)
	}
	return f, nil
}

// maxProcesses is the maximum number of processes of one type.
const maxProcesses = 100

var quantities = fmt.Sprintf("a whole number from 0 to %d", maxProcesses)

func parse(content []byte) (File, error) {
	strict, err := hujson.Standardize(tree.Text(content))
	if err != nil { // the error may quote anything in the file
		return File{}, errors.New(say.Plain(strings.TrimPrefix(err.Error(), "hujson: "), 200))
	}
	decoder := json.NewDecoder(bytes.NewReader(strict))
	decoder.UseNumber()
	var top any
	if err := decoder.Decode(&top); err != nil {
		return File{}, err
	}
	r := &reader{}
	o := r.object(value{json: top}, "an object, {...}")
	scripts := r.object(o.field("scripts"), `an object such as {"postdeploy": "node seed.js"}`)
	dokku := r.object(scripts.field("dokku"), `an object such as {"predeploy": "node check.js"}`)
	f := File{
		Predeploy: r.text(dokku.field("predeploy")), Postdeploy: r.text(dokku.field("postdeploy")),
		FirstTime: r.text(scripts.field("postdeploy")),
		Backup:    r.text(scripts.field("backup")),
		Formation: r.formation(o.field("formation")),
		Checks:    r.checks(o.field("healthchecks")),
		Cron:      r.cron(o.field("cron")),
		Storage:   r.storage(o.field("storage")),
	}
	if r.err != nil {
		return File{}, r.err
	}
	return f, nil
}

func (r *reader) formation(v value) (formation map[string]int) {
	for name, v := range r.object(v, `an object such as {"web": {"quantity": 2}}`).all() {
		process := r.object(v, `an object such as {"quantity": 2}`)
		n := r.whole(process.field("quantity"), quantities)
		if n == nil {
			continue
		}
		if CheckQuantity(*n) != nil {
			r.wrong(process.field("quantity"), quantities)
		}
		if formation == nil {
			formation = map[string]int{}
		}
		formation[name] = *n
	}
	return formation
}

func (r *reader) storage(v value) (kept []string) {
	for _, v := range r.list(v, `a list of folders such as ["public/uploads"]`) {
		var err error
		if kept, err = volume.AddStorage(kept, r.text(v)); err != nil {
			r.fail(v, err.Error())
		}
	}
	return kept
}

func (r *reader) cron(v value) (crons []Cron) {
	for _, v := range r.list(v, `a list such as [{"schedule": "@daily", "command": "node tidy.js"}]`) {
		o := r.object(v, `an object such as {"schedule": "@daily", "command": "node tidy.js"}`)
		c := Cron{
			Schedule: r.text(o.field("schedule")), Command: r.text(o.field("command")),
			Concurrency: r.text(o.field("concurrency_policy")),
		}
		if c.Command == "" || c.Schedule == "" {
			r.fail(v, "needs a schedule and a command")
		}
		switch c.Concurrency {
		case "", "forbid", "allow", "replace":
		default:
			r.wrong(o.field("concurrency_policy"), "forbid, allow or replace")
		}
		crons = append(crons, c)
	}
	return crons
}

// CheckQuantity returns an error if an app cannot have n processes of a type.
func CheckQuantity(n int) error {
	if n < 0 || n > maxProcesses {
		return fmt.Errorf("%d processes: not between 0 and %d", n, maxProcesses)
	}
	return nil
}
