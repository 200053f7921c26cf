package logs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// Tail is the last n lines of a [File], oldest first, without their ends; fewer where there are
// no more, none where nothing was ever logged. end is where in the file they end, for following it
// from there. It reads from the end, no more than it needs.
func Tail(path string, n int) (lines []string, end int64, err error) {
	lines, end, err = tailOne(path, n)
	if err != nil || len(lines) >= n {
		return lines, end, err
	}
	older, _, err := tailOne(path+".1", n-len(lines))
	return append(older, lines...), end, err
}

func tailOne(path string, n int) (lines []string, size int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	size = info.Size()
	if n <= 0 {
		return nil, size, nil
	}
	var chunks [][]byte // from the end
	newlines := 0
	for end := size; end > 0 && newlines <= n; { // one more: the end of the line before
		chunk := make([]byte, min(end, 32<<10))
		end -= int64(len(chunk))
		if _, err := f.ReadAt(chunk, end); err != nil {
			return nil, 0, err
		}
		newlines += bytes.Count(chunk, []byte{'\n'})
		chunks = append(chunks, chunk)
	}
	slices.Reverse(chunks)
	text := bytes.TrimSuffix(bytes.Join(chunks, nil), []byte{'\n'})
	if len(text) == 0 {
		return nil, size, nil
	}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		lines = append(lines, string(line))
	}
	return lines[max(0, len(lines)-n):], size, nil
}
