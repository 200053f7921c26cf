package appjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a part of an app.json and its path: healthchecks.web[0].timeout. A value that is null
// counts as missing.
type value struct {
	at   string
	json any // as decoded by package json, with json.Number; nil: missing
}

// reader converts values to their types. The first value with a wrong type becomes its error; after
// that every value counts as missing.
type reader struct{ err error }

// wrong records that v is not what it must be. must describes that in a few words.
func (r *reader) wrong(v value, must string) {
	if r.err != nil {
		return
	}
	var is bytes.Buffer
	encoder := json.NewEncoder(&is)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v.json)
	text := string(bytes.TrimSpace(is.Bytes()))
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60]) + "..."
	}
	if v.at == "" {
		r.err = fmt.Errorf("must be %s, but is %s", must, text)
		return
	}
	r.err = fmt.Errorf("%s must be %s, but is %s", v.at, must, text)
}

// fail records another problem with v.
func (r *reader) fail(v value, why string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %s", v.at, why)
	}
}

// as returns v as a T, or the zero T if it is missing.
func as[T any](r *reader, v value, must string) (t T) {
	if v.json == nil || r.err != nil {
		return t
	}
	t, ok := v.json.(T)
	if !ok {
		r.wrong(v, must)
	}
	return t
}

// object is a value with named fields.
type object struct {
	at     string
	fields map[string]any
}

func (r *reader) object(v value, must string) object {
	return object{v.at, as[map[string]any](r, v, must)}
}

func (o object) field(name string) value {
	at := o.at + "." + name
	if !plainName.MatchString(name) { // a line break must not get into the error
		at = fmt.Sprintf("%s[%+q]", o.at, name)
	}
	return value{strings.TrimPrefix(at, "."), o.fields[name]}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// all yields the fields, sorted by name.
func (o object) all() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		for _, name := range slices.Sorted(maps.Keys(o.fields)) {
			if !yield(name, o.field(name)) {
				return
			}
		}
	}
}

func (r *reader) list(v value, must string) (list []value) {
	for i, item := range as[[]any](r, v, must) {
		list = append(list, value{v.at + "[" + strconv.Itoa(i) + "]", item})
	}
	return list
}

func (r *reader) text(v value) string { return as[string](r, v, "a string") }

func (r *reader) flag(v value) bool { return as[bool](r, v, "true or false") }

// whole reads a whole number, or nil if it is missing.
func (r *reader) whole(v value, must string) *int {
	number := as[json.Number](r, v, must)
	if number == "" {
		return nil
	}
	n, err := strconv.Atoi(number.String())
	if err != nil {
		r.wrong(v, must)
		return nil
	}
	return &n
}

// seconds reads a number of seconds, at most a day: more may not fit into a duration.
func (r *reader) seconds(v value) time.Duration {
	const must = "a number of seconds from 0 to 86400, such as 5"
	number := as[json.Number](r, v, must)
	if number == "" {
		return 0
	}
	n, err := number.Float64()
	if err != nil || n < 0 || n > 24*3600 {
		r.wrong(v, must)
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
