package logs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Processes returns the processes that have a log in the folder dir, by type and number. A missing
// folder has none.
func Processes(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		// during a rotation there may be only the older file
		name, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".1"), ".log")
		if kind, _, numbered := cutName(name); ok && numbered && kind != "" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, Compare)
	return slices.Compact(names), nil
}

// Type returns the type of a process: "web" for "web.1".
func Type(name string) string {
	kind, _, _ := cutName(name)
	return kind
}

// Compare orders processes by type, then by number.
func Compare(a, b string) int {
	kindA, numberA, _ := cutName(a)
	kindB, numberB, _ := cutName(b)
	return cmp.Or(strings.Compare(kindA, kindB), cmp.Compare(numberA, numberB),
		strings.Compare(a, b))
}

func cutName(name string) (kind string, number uint64, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name, 0, false
	}
	number, err := strconv.ParseUint(name[dot+1:], 10, 64)
	return name[:dot], number, err == nil
}
