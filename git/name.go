package git

import "strings"

// safeName reports whether a file or folder in a commit may have this name. It refuses what git's
// verify_path (read-cache.c) refuses: names that lead out of the folder, and every spelling of .git
// on any file system, because the files may be copied to one later.
func safeName(name string) bool {
	switch name {
	case "", ".", "..":
		return false
	}
	return !strings.ContainsAny(name, "/\x00") && !isDotGit(name)
}

// isDotGit reports whether name means .git on some file system: on one that ignores case; on HFS+,
// which ignores some code points; on NTFS, where git~1 is its short name, dots and spaces at the
// end are ignored, a colon begins a stream and a backslash ends a name (path.c, is_ntfs_dotgit;
// utf8.c, is_hfs_dotgit).
func isDotGit(name string) bool {
	if strings.EqualFold(strings.Map(dropIgnorable, name), ".git") {
		return true
	}
	for part := range strings.SplitSeq(name, `\`) {
		part, _, _ = strings.Cut(part, ":")
		part = strings.TrimRight(part, ". ")
		if strings.EqualFold(part, ".git") || strings.EqualFold(part, "git~1") {
			return true
		}
	}
	return false
}

// dropIgnorable drops the code points that HFS+ ignores (utf8.c, next_hfs_char).
func dropIgnorable(r rune) rune {
	switch {
	case 0x200c <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x206a <= r && r <= 0x206f,
		r == 0xfeff:
		return -1
	}
	return r
}
