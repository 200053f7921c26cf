package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"paas/volume"
)

// Plan is when the server backs itself up, and where to.
type Plan struct {
	// When is a schedule of five fields, or @daily and the like; empty: only when somebody asks.
	When  string    `json:"when,omitempty"`
	Since time.Time `json:"since"`
	// Folder is a folder of the machine; empty: the one below the root, unless Bucket is set.
	Folder string `json:"folder,omitempty"`
	// Bucket is s3://bucket/prefix, and Endpoint and Region are where it is.
	Bucket     string   `json:"bucket,omitempty"`
	Endpoint   string   `json:"endpoint,omitempty"`
	Region     string   `json:"region,omitempty"`
	Keep       int      `json:"keep"` // how many backups of the server are kept
	Recipients []string `json:"recipients,omitempty"`
}

// Run is one backup of the plan.
type Run struct {
	At    time.Time `json:"at"`
	Name  string    `json:"name,omitempty"` // of the backup; empty: none was made
	Bytes int64     `json:"bytes,omitempty"`
	Error string    `json:"error,omitempty"`
}

// Book keeps the plan, its credentials and its last runs, in a private folder of the volume.
type Book struct{ Volume *volume.Volume }

func (b Book) dir() string { return filepath.Join(b.Volume.Root, "backups") }

// Files is the folder of the backups if the plan names none.
func (b Book) Files() string { return filepath.Join(b.dir(), "files") }

func readJSON[T any](path string) (value T, err error) {
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, &value)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return value, err
}

func (b Book) writeJSON(name string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = os.MkdirAll(b.dir(), 0o700)
	}
	if err != nil {
		return err
	}
	return b.Volume.WriteFile(filepath.Join(b.dir(), name), append(content, '\n'), 0o600)
}

// Plan returns the plan; ok is false if there is none.
func (b Book) Plan() (p Plan, ok bool, err error) {
	p, err = readJSON[Plan](filepath.Join(b.dir(), "plan.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Plan{}, false, nil
	}
	return p, err == nil, err
}

// SetPlan replaces the plan.
func (b Book) SetPlan(p Plan) error { return b.writeJSON("plan.json", p) }

// Secret is what opens a bucket.
type Secret struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

// Secret returns the credentials of the bucket; zero if there are none.
func (b Book) Secret() (s Secret, err error) {
	s, err = readJSON[Secret](filepath.Join(b.dir(), "secret.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

// SetSecret replaces the credentials of the bucket.
func (b Book) SetSecret(s Secret) error { return b.writeJSON("secret.json", s) }

const maxRuns = 100

// Runs returns the last runs of the plan, oldest first.
func (b Book) Runs() ([]Run, error) {
	runs, err := readJSON[[]Run](filepath.Join(b.dir(), "runs.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return runs, err
}

// Record adds a run. The caller holds the lock.
func (b Book) Record(r Run) error {
	runs, err := b.Runs()
	if err != nil {
		runs = nil // the file is damaged, and has no more than this
	}
	runs = append(runs, r)
	return b.writeJSON("runs.json", runs[max(0, len(runs)-maxRuns):])
}

// Lock keeps a second run of the plan away until unlock is called; ok is false if there is one.
func (b Book) Lock() (unlock func(), ok bool, err error) {
	if err := os.MkdirAll(b.dir(), 0o700); err != nil {
		return nil, false, err
	}
	f, err := os.OpenFile(filepath.Join(b.dir(), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		return nil, false, err
	}
	return func() { f.Close() }, true, nil
}

// again is after how long a run that failed is repeated.
const again = time.Hour

// Due returns when the next run begins; ok is false if none does. next returns the first time of a
// schedule after another.
func (b Book) Due(next func(schedule string, after time.Time) time.Time) (at time.Time, ok bool, err error) {
	p, ok, err := b.Plan()
	if err != nil || !ok || p.When == "" {
		return at, false, err
	}
	last := p.Since
	runs, err := b.Runs()
	if n := len(runs); n > 0 && runs[n-1].At.After(last) {
		last = runs[n-1].At
		if runs[n-1].Error != "" && runs[n-1].Name == "" {
			return last.Add(again), true, err
		}
	}
	at = next(p.When, last)
	return at, !at.IsZero(), err
}

// Trouble says in one line what is wrong with the backups of the plan: the last one failed, or another
// one was due an hour ago. It is empty if nothing is, or if there is no plan.
func (b Book) Trouble(now time.Time, next func(schedule string, after time.Time) time.Time) (string, error) {
	p, ok, err := b.Plan()
	if err != nil || !ok || p.When == "" {
		return "", err
	}
	runs, err := b.Runs()
	if err != nil {
		return "", err
	}
	if n := len(runs); n > 0 && runs[n-1].Error != "" {
		return fmt.Sprintf("the backup at %s failed: %s", runs[n-1].At.Format(time.DateTime), runs[n-1].Error), nil
	}
	last, since := p.Since, "there is no backup yet, and one was due"
	if n := len(runs); n > 0 && runs[n-1].At.After(last) {
		last = runs[n-1].At
		since = "the last backup is of " + last.Format(time.DateTime) + ", and another was due"
	}
	if due := next(p.When, last); !due.IsZero() && now.After(due.Add(again)) {
		return fmt.Sprintf("%s at %s", since, due.Format(time.DateTime)), nil
	}
	return "", nil
}
