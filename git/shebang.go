package git

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// shebangSize is how many bytes of a script the kernel reads to find its interpreter
// (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
const shebangSize = 256

// hasCarriageReturn reports whether an executable file is a script whose first line ends in a
// carriage return. The kernel takes it for part of the interpreter's name and reports only "not
// found". The result is false if the file cannot be read: that is for the checkout to report.
func (in *inspection) hasCarriageReturn(h plumbing.Hash) bool {
	if is, ok := load(in.Inspector, &in.scripts, h); ok {
		return is
	}
	r, err := in.objects.content(h)
	if err != nil {
		return false
	}
	defer r.Close()
	head := make([]byte, shebangSize)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	line, _, ended := bytes.Cut(head[:n], []byte{'\n'})
	is := ended && bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte{'\r'})
	store(in.Inspector, &in.scripts, maxKnownScripts, h, is)
	return is
}
