package router

import "sync"

const bufferSize = 32 << 10

// buffers is a pool of memory to copy bodies through, in either direction. It holds pointers to
// arrays, since each Put of a slice allocates.
type buffers struct{ pool sync.Pool }

// Get returns bufferSize bytes, for Put.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

// Put takes back what Get returned.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
