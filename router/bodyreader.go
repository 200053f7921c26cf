package router

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
)

// bodyReader reads the body of a message whose length its header tells.
type bodyReader struct {
	br        *bufio.Reader
	length    int64     // bytes left; -1 if chunked; untilClose if the connection's end ends it
	chunks    io.Reader // nil unless chunked
	trailer   header    // complete after io.EOF
	maxHeader int       // of the trailer, in bytes
	lenient   bool      // see parseHeader

	stream        io.Reader    // the body itself, if it came by HTTP/2; else nil
	streamTrailer *http.Header // of it; complete after io.EOF
}

func newBodyReader(br *bufio.Reader, length int64, maxHeader int, lenient bool) *bodyReader {
	b := &bodyReader{br: br, length: length, maxHeader: maxHeader, lenient: lenient}
	if length == -1 {
		b.chunks = httputil.NewChunkedReader(br)
	}
	return b
}

// Read returns io.EOF only if the body is complete.
func (b *bodyReader) Read(p []byte) (n int, err error) {
	switch {
	case b.stream != nil:
		n, err = b.stream.Read(p)
		if b.length -= int64(n); b.length == 0 { // it was known
			return n, io.EOF
		}
		if err == io.EOF {
			b.trailer = fieldsOf(*b.streamTrailer)
		}
		return n, err
	case b.chunks != nil:
		if n, err = b.chunks.Read(p); err == io.EOF {
			err = b.readTrailer()
		}
		return n, err
	case b.length == untilClose:
		return b.br.Read(p)
	}
	n, err = b.br.Read(p[:min(int64(len(p)), b.length)])
	if b.length -= int64(n); b.length == 0 {
		return n, io.EOF
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readTrailer reads the trailer after the last chunk. It returns io.EOF on success.
func (b *bodyReader) readTrailer() error {
	raw, err := readLines(b.br, nil, b.maxHeader, false)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		if b.trailer, err = parseHeader(nil, string(raw), b.lenient); err == nil {
			err = io.EOF
		}
	}
	return err
}
