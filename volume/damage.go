package volume

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
)

// Damage is the error for a file of the volume that exists and cannot be used: it is empty, torn,
// of another type or unreadable. It affects one app only. A failure that may pass (too many open
// files, a failing disk) is not Damage.
type Damage struct {
	File   string // below the root: apps/blog/settings.json
	Err    error  // what is wrong with it
	Remedy string // what the owner of the server can do about it
}

// Error returns one line: the file, what is wrong with it, and the remedy.
func (d *Damage) Error() string { return fmt.Sprintf("%s: %v; %s", d.File, d.Err, d.Remedy) }

func (d *Damage) Unwrap() error { return d.Err }

// IsDamage reports whether err is about a damaged file.
func IsDamage(err error) bool {
	var d *Damage
	return errors.As(err, &d)
}

var (
	errEmpty  = errors.New("the file is empty")
	errFolder = errors.New("it is a folder")
	errNoFile = errors.New("the file is missing")
)

// damage turns err, from reading the file at path, into [Damage] if it is that; otherwise it
// returns err.
func (v *Volume) damage(path string, err error, remedy string) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errEmpty), errors.Is(err, errNoFile), errors.Is(err, errOdd):
	case errors.As(err, &syntax):
		err = fmt.Errorf("the file is torn (%w)", err)
	case errors.As(err, &kind):
		err = fmt.Errorf(
			"the file has odd content: %s where %s should be", kind.Value,
			plainKind(kind.Type.Kind()),
		)
	case errors.Is(err, syscall.EISDIR):
		err = errFolder
	case errors.Is(err, syscall.ENOTDIR):
		err = errors.New("a folder above it is none")
	case errors.Is(err, fs.ErrPermission):
		err, remedy = fs.ErrPermission, "give it back to the server's user (chown, chmod)"
	case errors.Is(err, syscall.ELOOP):
		err = syscall.ELOOP
	default:
		return err
	}
	file, relErr := filepath.Rel(v.Root, path)
	if relErr != nil {
		file = path
	}
	return &Damage{File: file, Err: err, Remedy: remedy}
}

// errOdd wraps what is wrong with a file that is valid JSON.
var errOdd = errors.New("the file has odd content")

// plainKind returns the name that JSON has for a kind.
func plainKind(k reflect.Kind) string {
	switch k {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// odd returns an error for valid JSON that makes no sense.
func odd(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errOdd, fmt.Sprintf(format, args...))
}

// read reads a JSON file of the app. The error is [fs.ErrNotExist] if there is no file, or [Damage]
// with that remedy; the value is zero then.
func read[T any](a App, file, remedy string) (T, error) {
	var value, none T
	path := a.path(file)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, err
	}
	if err == nil {
		if content = bytes.TrimSpace(content); len(content) == 0 {
			err = errEmpty
		} else {
			err = json.Unmarshal(content, &value)
		}
	}
	if err != nil {
		return none, a.vol.damage(path, err, remedy)
	}
	return value, nil
}
