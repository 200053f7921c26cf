package git

import "strings"

// safeName says whether a file or folder of a commit may be called name. Refused is what git's
// verify_path (read-cache.c) refuses: names that lead elsewhere, and .git in every spelling that
// some file system takes for it, for whoever copies the files to one later.
func safeName(name string) bool {
	switch name {
	case "", ".", "..":
		return false
	}
	return !strings.ContainsAny(name, "/\x00") && !isDotGit(name)
}

// isDotGit says whether name means .git where case does not count, on HFS+, which overlooks some
// code points, or on NTFS, which knows git~1 for it, overlooks dots and spaces at the end, and
// takes what follows a colon for a stream of the file before it (path.c, is_ntfs_dotgit; utf8.c,
// is_hfs_dotgit). A backslash ends a name there.
func isDotGit(name string) bool {
	if strings.EqualFold(strings.Map(visible, name), ".git") {
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

// visible drops the code points that HFS+ overlooks (utf8.c, next_hfs_char).
func visible(r rune) rune {
	switch {
	case 0x200c <= r && r <= 0x200f, 0x202a <= r && r <= 0x202e, 0x206a <= r && r <= 0x206f, r == 0xfeff:
		return -1
	}
	return r
}
