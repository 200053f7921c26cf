//go:build !linux

package child

// OOMKills is not to be found out here.
func OOMKills() int { return 0 }

func (k *Keeper) oomKilled(int) bool { return false }

// OOMWatch finds nothing out here.
type OOMWatch struct{}

// WatchOOM begins nothing.
func WatchOOM() *OOMWatch { return &OOMWatch{} }

// Close ends nothing.
func (w *OOMWatch) Close() {}

// RanOut is always false.
func (w *OOMWatch) RanOut() bool { return false }
