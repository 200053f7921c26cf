package watch

import "strings"

// Manual tells a person what a [Watch] does with its command, and which files it ignores.
func Manual() string {
	return `When files below DIR change, COMMAND and all that it started are stopped, and COMMAND is started
again. On Linux that includes what has gone into the background, such as build servers. If COMMAND
ends by itself, it is started again at the next change. Its standard input is empty.
PAAS_WATCH_CHANGED has the paths that changed, one on a line, 100 at most. In a terminal, rs and
Enter restarts it.

SIGINT, SIGTERM and SIGHUP are passed on to COMMAND and end both. The exit status is COMMAND's, or
128 plus the number of the signal that ended it, or 127 if there is no such COMMAND, or 126 if it
cannot be run. SIGQUIT (Ctrl-\) is passed on too, and ends nothing here.

Ignored are the files that .gitignore files name, bin and obj beside a project of .NET, and these:
` + columns(DefaultIgnores)
}

// columns returns words in indented lines of at most 100 characters.
func columns(words []string) string {
	var b strings.Builder
	width := 0
	for _, word := range words {
		if width == 0 || width+1+len(word) > 100 {
			b.WriteString("\n ")
			width = 1
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	return strings.TrimPrefix(b.String(), "\n") + "\n"
}
