package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// uses notes when keys and tokens were last used: the time of an empty file for each.
type uses struct {
	mu      sync.Mutex
	noted   map[string]time.Time
	writing sync.WaitGroup
}

// useEvery is how often a use is written at most.
const useEvery = time.Minute

// Used notes that the key of the identity is used now. It does not block.
func (k *Keys) Used(who Identity) {
	if who.Key != "" {
		k.uses.note(k.Dir, who.Key)
	}
}

// note notes that the key of that fingerprint, or the token of that id, is used now. It does not
// block. What cannot be written, such as on a full disk, is not noted.
func (u *uses) note(dir, id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.noted[id]) < useEvery {
		return
	}
	if u.noted == nil {
		u.noted = map[string]time.Time{}
	}
	u.noted[id] = now
	u.writing.Go(func() {
		path := useFile(dir, id)
		err := os.Chtimes(path, now, now)
		if errors.Is(err, fs.ErrNotExist) && os.MkdirAll(filepath.Dir(path), 0o700) == nil {
			os.WriteFile(path, nil, 0o600)
		}
	})
}

// last returns when the key or token was last used; zero: never.
func (u *uses) last(dir, id string) time.Time {
	info, err := os.Stat(useFile(dir, id))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func useFile(dir, id string) string {
	return filepath.Join(dir, "used", strings.ReplaceAll(strings.TrimPrefix(id, "SHA256:"), "/", "_"))
}
