//go:build !linux

package child

// OOMKills is unknown here.
func OOMKills() int { return 0 }

func (k *Keeper) oomKilled(int) bool { return false }

// OOMWatch notices nothing here.
type OOMWatch struct{}

// WatchOOM does nothing here.
func WatchOOM() *OOMWatch { return &OOMWatch{} }

// Close does nothing here.
func (w *OOMWatch) Close() {}

// RanOut returns false here.
func (w *OOMWatch) RanOut() bool { return false }
