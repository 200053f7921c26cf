package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Format is the volume's format that this program writes, and the newest that it reads. Only a
// change that an older program cannot read raises the number. The file that holds it is newer than
// format 1, so a volume without it has format 1.
//
// Moving what is wanted out of settings.json did not raise it: every program that reads the number
// knows both places, and no number stops those from before, which do not read it.
const Format = 1

// checkFormat refuses a volume of a newer format, and gives one that has none yet its number.
func (v *Volume) checkFormat() error {
	path := filepath.Join(v.Root, "format")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// a full disk: it has format 1 without the file too
		if err := v.WriteFile(path, []byte(strconv.Itoa(Format)+"\n"), 0o644); err != nil {
			v.log().Warn("cannot record the volume's format", "err", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || format < 1 {
		return fmt.Errorf(
			"volume: %w",
			v.damage(path, odd("%.20q is no number from 1", content), "restore it from a backup"),
		)
	}
	if format > Format {
		return fmt.Errorf(
			"volume: %s has format %d, and this paas reads formats up to %d; start a newer paas",
			v.Root, format, Format,
		)
	}
	return nil
}
