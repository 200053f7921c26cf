package git

import (
	"bytes"
	"errors"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
)

const (
	maxModules       = 32 << 20  // bytes of a .gitmodules (core.bigFileThreshold)
	maxAttributes    = 100 << 20 // bytes of a .gitattributes (attr.h)
	maxAttributeLine = 2048      // bytes (attr.h)
)

// fsckSpecial checks files that git itself interprets (fsck.c, fsck_blob).
func (o *Objects) fsckSpecial(e treeEntry, name string) error {
	check := func(is func(string) bool, limit int64, fsck func([]byte) string) error {
		if e.mode == filemode.Symlink || !anyNTFSPart(e.name, is) {
			return nil
		}
		content, err := o.readObject(plumbing.BlobObject, e.hash, limit)
		var broken *BrokenObject
		if errors.As(err, &broken) {
			return &BrokenObject{name, broken.Why}
		}
		if err != nil {
			return err
		}
		if why := fsck(content); why != "" {
			return &BrokenObject{name, why}
		}
		return nil
	}
	if err := check(isDotGitmodules, maxModules, fsckModules); err != nil {
		return err
	}
	return check(isDotGitattributes, maxAttributes, fsckAttributes)
}

// fsckModules returns git's objection to the content of a .gitmodules, or "". Like git, it accepts
// content that cannot be parsed.
func fsckModules(content []byte) (why string) {
	modules := gitconfig.New()
	if err := gitconfig.NewDecoder(bytes.NewReader(content)).Decode(modules); err != nil {
		return ""
	}
	for _, m := range modules.Section("submodule").Subsections {
		if m.Name == "" || strings.HasPrefix(m.Name, "../") || strings.HasSuffix(m.Name, "/..") ||
			m.Name == ".." ||
			strings.Contains(strings.ReplaceAll(m.Name, `\`, "/"), "/../") ||
			strings.HasPrefix(m.Name, `..\`) || strings.HasSuffix(m.Name, `\..`) {
			return "gitmodulesName: " + m.Name
		}
		for _, option := range m.Options {
			switch {
			case option.IsKey("url") && badModuleURL(option.Value):
				return "gitmodulesUrl: " + option.Value
			case option.IsKey("path") && strings.HasPrefix(option.Value, "-"):
				return "gitmodulesPath: " + option.Value
			case option.IsKey("update") && strings.HasPrefix(option.Value, "!"):
				return "gitmodulesUpdate: " + option.Value
			}
		}
	}
	return ""
}

// badModuleURL is git's check_submodule_url (submodule-config.c). It refuses options of a program,
// newlines that a credential helper would read, and paths above the host's root.
func badModuleURL(address string) bool {
	if strings.HasPrefix(address, "-") {
		return true
	}
	decoded, err := url.PathUnescape(address)
	if err != nil {
		decoded = address
	}
	relative := strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../")
	if relative || strings.HasPrefix(address, "git://") {
		out := address
		for {
			if rest, ok := strings.CutPrefix(out, "./"); ok {
				out = rest
			} else if rest, ok := strings.CutPrefix(out, "../"); ok {
				out = rest
			} else {
				break
			}
		}
		return strings.Contains(decoded, "\n") || relative &&
			strings.Contains(address[:len(address)-len(out)], "..") &&
			(strings.HasPrefix(out, ":") || strings.HasPrefix(out, "/"))
	}
	for _, scheme := range []string{"http", "https", "ftp", "ftps"} {
		plain := strings.TrimPrefix(address, scheme+"::")
		if plain != address || strings.HasPrefix(address, scheme+"://") {
			at, err := url.Parse(plain)
			return err != nil || at.Host == "" || strings.Contains(decoded, "\n")
		}
	}
	return false
}

// fsckAttributes returns git's objection to the content of a .gitattributes, or "".
func fsckAttributes(content []byte) (why string) {
	for line := range bytes.Lines(content) {
		if len(bytes.TrimSuffix(line, []byte("\n"))) >= maxAttributeLine {
			return "gitattributesLineLength"
		}
	}
	return ""
}

// anyNTFSPart reports whether is holds for name or for a part of it that follows a backslash, which
// separates names on NTFS.
func anyNTFSPart(name string, is func(string) bool) bool {
	if first := name[0]; first < 0x80 && !strings.ContainsRune(".gG", rune(first)) &&
		!strings.Contains(name, `\`) {
		return false // most names; HFS+ ignores only code points beyond ASCII
	}
	for {
		if is(name) {
			return true
		}
		_, rest, ok := strings.Cut(name, `\`)
		if !ok {
			return false
		}
		name = rest
	}
}

func isDotGitmodules(name string) bool    { return isDotName(name, "gitmodules", "gi7eba") }
func isDotGitattributes(name string) bool { return isDotName(name, "gitattributes", "gi7d29") }

// isDotName reports whether name means .plain on some file system: on HFS+, or on NTFS, where short
// names it (path.c, is_ntfs_dot_generic; utf8.c, is_hfs_dot_generic).
func isDotName(name, plain, short string) bool {
	if strings.EqualFold(strings.Map(dropIgnorable, name), "."+plain) {
		return true
	}
	name, _, _ = strings.Cut(name, ":")
	name = strings.ToLower(strings.TrimRight(name, ". "))
	if name == "."+plain {
		return true
	}
	stem, number, ok := strings.Cut(name, "~")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return false
	}
	if stem == plain[:6] && len(number) == 1 && '1' <= number[0] && number[0] <= '4' {
		return true
	}
	return len(name) == 8 && len(stem) <= 6 && strings.HasPrefix(short, stem) && number[0] != '0'
}
