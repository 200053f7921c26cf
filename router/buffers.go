package router

import "sync"

const bufferSize = 32 << 10

// buffers is a pool of buffers for copying bodies. It stores pointers to arrays, because putting a
// slice into a sync.Pool allocates.
type buffers struct{ pool sync.Pool }

// Get returns a buffer of bufferSize bytes. Return it with Put.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put takes back a buffer from Get.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
