package formation

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// processType matches the name of a process type, which is also part of the name of a log file.
var processType = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

// MaxProcfile is the maximum size of a Procfile in bytes.
const MaxProcfile = 64 << 10 // bytes; real ones have a few hundred

// ParseProcfile reads lines of the form "type: command"
// (https://devcenter.heroku.com/articles/procfile) into a map from process type to command line. It
// skips empty lines and lines that begin with #. Any other line is an error with its number, such
// as a type named twice or a merge marker.
func ParseProcfile(content []byte) (map[string]string, error) {
	if len(content) > MaxProcfile {
		return nil, fmt.Errorf("the Procfile is larger than %d kB", MaxProcfile>>10)
	}
	processes := map[string]string{}
	lineOf := map[string]int{}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // a byte order mark, from an editor
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line) // removes a carriage return too
		if line == "" || line[0] == '#' {
			continue
		}
		name, command, err := ParseProcess(line)
		if earlier, twice := lineOf[name]; err == nil && twice {
			err = fmt.Errorf("%s is already defined in line %d", name, earlier)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the Procfile: %w", i+1, err)
		}
		processes[name], lineOf[name] = command, i+1
	}
	if len(processes) == 0 {
		return nil, errors.New("the Procfile names no process; add a line like `web: node " +
			"server.js`")
	}
	return processes, nil
}

// ParseProcess reads one line of a Procfile.
func ParseProcess(line string) (name, command string, err error) {
	for _, marker := range []string{"<<<<<<<", "|||||||", "=======", ">>>>>>>"} {
		if strings.HasPrefix(line, marker) {
			return "", "", fmt.Errorf("merge marker %s: resolve the conflict and commit", marker)
		}
	}
	if strings.ContainsRune(line, 0) {
		return "", "", errors.New("contains a NUL byte: not a text file?")
	}
	name, command, found := strings.Cut(line, ":")
	name, command = strings.TrimSpace(name), strings.TrimSpace(command)
	switch {
	case !found:
		return "", "", errors.New("not of the form `type: command`")
	case !processType.MatchString(name):
		return "", "", fmt.Errorf("%.40q is not a process type: use letters, digits, - and _", name)
	case name == "run": // its logs would be taken for those of one-off commands
		return "", "", errors.New("run is reserved for `run APP -- COMMAND`: use another name")
	case command == "":
		return "", "", fmt.Errorf("%s has no command", name)
	}
	return name, command, nil
}
