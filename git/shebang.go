package git

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// headLength is how much of a script the kernel reads to find its interpreter, in bytes
// (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
const headLength = 256

// script says whether the executable file called h is a script whose first line ends in a carriage
// return: the kernel takes that for part of the interpreter's name or argument, and says only "not
// found". A file that cannot be read is none, since this is only told: a checkout finds that out.
func (w *walk) script(h plumbing.Hash) bool {
	if is, ok := recall(w.Inspector, &w.scripts, h); ok {
		return is
	}
	r, err := w.objects.content(h)
	if err != nil {
		return false
	}
	defer r.Close()
	head := make([]byte, headLength)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	line, _, ended := bytes.Cut(head[:n], []byte{'\n'})
	is := ended && bytes.HasPrefix(line, []byte("#!")) && bytes.HasSuffix(line, []byte{'\r'})
	remember(w.Inspector, &w.scripts, maxScripts, h, is)
	return is
}
