package git

import (
	"bytes"
	"strings"
)

// climbs says how many folders above its own a symbolic link to target leads at most; false where
// that cannot be said without following other links, or where the target is absolute.
//
// Leading ".." are exact: the kernel takes them from the folder the link really lies in. After a
// name they are not, for the name may itself be a link: d/b -> a/../x leaves the tree where d/a
// leads to its root. So those are not followed but refused; nobody needs them.
func climbs(target string) (n int, ok bool) {
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

// isPointer says whether a file's content stands for a file kept elsewhere (git-lfs docs/spec.md).
func isPointer(content []byte) bool {
	return bytes.HasPrefix(content, []byte("version https://git-lfs.github.com/spec/v1\n"))
}
