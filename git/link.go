package git

import (
	"bytes"
	"strings"
)

// linkClimb returns how many folders above its own a symbolic link to target can lead. ok is false
// if target is absolute, or if that depends on other links.
//
// Leading ".." are safe: the kernel starts at the folder that contains the link. A ".." after a
// name is not, because the name may be a link itself: d/b -> a/../x leaves the tree if d/a links to
// its root. So such links are refused; nobody needs them.
func linkClimb(target string) (n int, ok bool) {
	if target == "" || target[0] == '/' || strings.IndexByte(target, 0) >= 0 {
		return 0, false
	}
	named := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if named {
				return 0, false
			}
			n++
		default:
			named = true
		}
	}
	return n, true
}

// isLFSPointer reports whether content is a Git LFS pointer (git-lfs docs/spec.md).
func isLFSPointer(content []byte) bool {
	return bytes.HasPrefix(content, []byte("version https://git-lfs.github.com/spec/v1\n"))
}
