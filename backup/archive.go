package backup

import (
	"errors"
	"time"

	"paas/volume"
)

// Format is the format that this program writes, and the newest that it reads.
const Format = 1

// Header says what an archive is.
type Header struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
	// Server is true if it is a whole server; otherwise it is one app.
	Server bool     `json:"server,omitempty"`
	Apps   []string `json:"apps"`
}

// App has the facts of an app at the moment of the backup.
type App struct {
	ID       string          `json:"id"`
	Live     int             `json:"live,omitempty"` // 0: no release is live
	Settings volume.Settings `json:"settings"`
	Wanted   volume.Wanted   `json:"wanted"`
	Source   *volume.Source  `json:"source,omitempty"`
	// Data says how the app's files were read.
	Data Reading `json:"data"`
}

// Reading is how files were read that an app may write to at the same time.
type Reading string

const (
	Snapshot Reading = "snapshot" // all were copied first, within moments, by sharing their blocks
	AsRead   Reading = "as read"  // one after the other, as tar does
)

// Release is a release and its state.
type Release struct {
	volume.Release
	Status volume.Status `json:"status"`
}

// End says which apps are whole, and what is not as it should be.
type End struct {
	Apps  []string `json:"apps"`
	Files int64    `json:"files"`
	Bytes int64    `json:"bytes"` // of their contents
	Notes []string `json:"notes,omitempty"`
	// Undumped are the apps of a whole server whose Dump failed. Their files are in it as they were.
	Undumped []string `json:"undumped,omitempty"`
}

const (
	headerName = "backup.json"
	endName    = "end.json"

	maxFacts = 16 << 20 // bytes of one JSON file
	piece    = 4 << 20  // bytes of one piece of a pack
	maxNotes = 1000
)

var (
	// ErrEncrypted is the error for an archive that needs an identity or a passphrase.
	ErrEncrypted = errors.New("it is encrypted")
	// ErrWrongKey is the error for an identity or a passphrase that does not open the archive.
	ErrWrongKey = errors.New("this key does not open it")
	// ErrNoBackup is the error for a file that is no backup of this program.
	ErrNoBackup = errors.New("this is not a backup of paas")
	// ErrTorn is the error for an archive that ends too early or was changed.
	ErrTorn = errors.New("the backup is torn or damaged")
	// ErrTooLarge is the error for an archive that needs more disk space than there is.
	ErrTooLarge = errors.New("the backup needs more disk space than there is")
)
