package cron

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"paas/formation"
	"paas/formation/appjson"
)

// Entry is a scheduled command.
type Entry struct {
	ID       int    // from 1: first the entries of app.json in order, then the Procfile lines by name
	From     string // the process type of its Procfile line, or "app.json"
	When     string // the schedule, as the owner wrote it
	Schedule Schedule
	Command  string // command line, as in a Procfile
	Policy   Policy
}

const maxEntries = 100

// Entries returns the scheduled commands of an app with these Procfile lines and app.json entries.
// The error names the line.
func Entries(processes map[string]string, file []appjson.Cron) ([]Entry, error) {
	var entries []Entry
	for i, c := range file {
		e, err := newEntry(strings.TrimSpace(c.Schedule), c.Command)
		if err != nil {
			return nil, fmt.Errorf("app.json: cron[%d]: %w", i, err)
		}
		e.From, e.Policy = "app.json", cmp.Or(Policy(c.Concurrency), Forbid)
		entries = append(entries, e)
	}
	var types []string
	for t := range processes {
		if formation.IsCron(t, processes[t]) {
			types = append(types, t)
		}
	}
	slices.SortFunc(types, compareTypes)
	for _, t := range types {
		e, err := parseLine(processes[t])
		if err != nil {
			return nil, fmt.Errorf("line %s of the Procfile: %w", t, err)
		}
		e.From, e.Policy = t, Forbid
		entries = append(entries, e)
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%d cron entries; the maximum is %d", len(entries), maxEntries)
	}
	for i := range entries {
		entries[i].ID = i + 1
	}
	return entries, nil
}

// compareTypes orders cron2 before cron10, and numbers before names.
func compareTypes(a, b string) int {
	number := func(t string) int {
		if digits := strings.TrimPrefix(t, "cron"); digits != "" {
			n, err := strconv.Atoi(digits)
			if err != nil || n < 0 { // not a number, such as -2
				return 1 << 30
			}
			return n
		}
		return -1
	}
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
}

// aField matches what can be a field of a schedule and is hardly a program.
var aField = regexp.MustCompile(`^[0-9*/,?-]+$`)

// parseLine parses a Procfile line without its process type: the schedule, then the command.
func parseLine(line string) (Entry, error) {
	count := len(fields)
	if strings.HasPrefix(line, "@") {
		count = 1
	}
	var parts []string
	for range count {
		line = strings.TrimLeft(line, " \t")
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		if line == "" {
			break
		}
		parts = append(parts, line[:end])
		line = line[end:]
	}
	command := strings.TrimSpace(line)
	when := strings.Join(parts, " ")
	if first, _, _ := strings.Cut(command, " "); aField.MatchString(first) {
		return Entry{}, fmt.Errorf("%q has more than the five fields: "+
			"minute, hour, day of the month, month, day of the week", when+" "+first)
	}
	return newEntry(when, command)
}

func newEntry(when, command string) (Entry, error) {
	s, err := Parse(when)
	switch {
	case err != nil:
		return Entry{}, err
	case command == "":
		return Entry{}, errors.New("no command after the schedule; " +
			"write it as `*/10 * * * * node tidy.js`")
	case strings.ContainsRune(command, 0):
		return Entry{}, errors.New("NUL in the command")
	}
	return Entry{When: when, Schedule: s, Command: command}, nil
}
