package router

import "sync"

const bufferSize = 32 << 10

// buffers are what bodies are copied through, in either direction: an httputil.BufferPool. An
// array's pointer goes into the pool, since a slice would be allocated anew with every Put.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return p[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(p []byte) {
	if cap(p) >= bufferSize {
		b.pool.Put((*[bufferSize]byte)(p[:bufferSize]))
	}
}
