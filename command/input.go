package command

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/volume"
)

// Field is an argument or a flag of a verb. The tags of the input's field say what it is:
//
//	App  string            `json:"app" arg:"APP"`              an argument
//	To   string            `json:"to" arg:"[vN]"`              one that may be left out
//	Vars map[string]string `json:"vars" arg:"KEY=VALUE..."`    one or more, to the end
//	N    int               `json:"number" flag:"number,n" value:"N" default:"20" help:"how many"`
//	Tail bool              `json:"tail" flag:"tail,t" also:"follow,f" help:"go on"`
type Field struct {
	Name     string // of a flag "number"; of an argument "APP", without brackets and dots
	JSON     string
	IsFlag   bool
	Short    string   // of a flag: "n"; empty: none
	Also     []string // of a flag: other names, as other tools have for it; one letter is a short one
	Value    string   // of a flag: what stands for its value; empty: it is a switch
	Default  string
	Help     string
	Optional bool
	Many     bool

	index int
}

// Fields returns the fields of an input: the arguments, then the flags, each in the order of the
// struct.
func Fields(in any) []Field {
	t := reflect.TypeOf(in).Elem()
	var args, flags []Field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		f := Field{
			JSON: name, Default: tag.Get("default"), Help: tag.Get("help"), Value: tag.Get("value"),
			index: i,
		}
		if text, ok := tag.Lookup("flag"); ok {
			f.Name, f.Short, _ = strings.Cut(text, ",")
			f.IsFlag, f.Optional = true, true
			if also := tag.Get("also"); also != "" {
				f.Also = strings.Split(also, ",")
			}
			f.Many = t.Field(i).Type.Kind() == reflect.Slice
			flags = append(flags, f)
			continue
		}
		text := tag.Get("arg")
		if f.Optional = strings.HasPrefix(text, "["); f.Optional {
			text = text[1 : len(text)-1]
		}
		f.Name, f.Many = strings.CutSuffix(text, "...")
		args = append(args, f)
	}
	return append(args, flags...)
}

// UsageLine shows how a verb is called: "config:set APP KEY=VALUE...".
func UsageLine(row Row) string {
	var args, flags string
	for _, f := range Fields(row.Input()) {
		if f.IsFlag {
			name := "--" + f.Name
			if f.Short != "" && f.Value != "" {
				name = "-" + f.Short
			}
			flags += " [" + strings.TrimSpace(name+" "+f.Value) + "]"
			continue
		}
		word := f.Name
		if f.Many {
			word += "..."
		}
		if f.Optional {
			word = "[" + word + "]"
		}
		if f.Many && IsRaw(row) {
			word = "-- " + word
		}
		args += " " + word
	}
	if IsRaw(row) {
		return row.About().Name + flags + args
	}
	return row.About().Name + args + flags
}

// SetDefaults sets the fields of in that have a default.
func SetDefaults(in any) {
	for _, f := range Fields(in) {
		if f.Default != "" {
			if err := f.Set(in, f.Default); err != nil {
				panic(fmt.Sprintf("default of %s: %v", f.Name, err)) // a mistake in the table
			}
		}
	}
}

// SetArguments sets the arguments of in from words.
func SetArguments(in any, words []string) error {
	fields := Fields(in)
	for i, f := range fields {
		if f.IsFlag {
			break
		}
		if f.Many && len(words) > 0 && words[0] == "--" { // what follows are no flags of ours
			words = words[1:]
		}
		if len(words) == 0 && f.Optional {
			continue
		}
		if len(words) == 0 {
			return &Fault{Kind: Usage, Field: f.JSON}
		}
		pairsFollow := i+1 < len(fields) && isPair(fields[i+1].Name)
		if f.Optional && pairsFollow && isPair(words[0]) {
			continue // it was left out, and this is the first pair
		}
		if f.Name == "APP" && isPair(words[0]) { // it is not repeated: it may hold a secret
			return wrong(f.JSON, "the app comes first, then %s", otherArguments(fields))
		}
		take := 1
		if f.Many {
			take = len(words)
		}
		for _, word := range words[:take] {
			if err := f.Set(in, word); err != nil {
				return err
			}
		}
		words = words[take:]
	}
	if len(words) > 0 {
		return &Fault{Kind: Usage}
	}
	return nil
}

// TakesApp reports whether the verb's first argument is an app.
func TakesApp(in any) bool {
	fields := Fields(in)
	return len(fields) > 0 && fields[0].Name == "APP"
}

// appOf is the app that the input names as its first argument; empty: it takes none, or got none.
func appOf(in any) string {
	if !TakesApp(in) {
		return ""
	}
	return reflect.ValueOf(in).Elem().Field(Fields(in)[0].index).String()
}

// namedApp is the app of the input for the audit log: empty if no app can have that name.
func namedApp(in any) string {
	if name := appOf(in); volume.CheckName(name) == nil {
		return name
	}
	return ""
}

// otherArguments names the arguments after the app.
func otherArguments(fields []Field) string {
	var names []string
	for _, f := range fields[1:] {
		if !f.IsFlag {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, " ")
}

// inOrder is what the caller may have meant if there is no app of the name that came first, but one
// of a name that came later; empty: there is none.
func (c *Call) inOrder(in any) string {
	var words []string
	for _, f := range Fields(in) {
		value := reflect.ValueOf(in).Elem().Field(f.index)
		switch {
		case f.IsFlag:
		case value.Kind() == reflect.String:
			words = append(words, value.String())
		case value.Type() == reflect.TypeFor[[]string]():
			words = append(words, value.Interface().([]string)...)
		}
	}
	for i, word := range words {
		if _, err := c.App(word); err == nil && i > 0 {
			rest := strings.Join(slices.Delete(words, i, i+1), " ")
			return fmt.Sprintf("the app comes first: %s %s %s", c.verb, word, plain(strings.TrimSpace(rest)))
		}
	}
	return ""
}

func isPair(word string) bool { return strings.Contains(word, "=") }

// Set sets the field of in, or adds a value if the field takes many. The error does not repeat a
// pair, which may hold a secret.
func (f Field) Set(in any, text string) error {
	return f.set(reflect.ValueOf(in).Elem().Field(f.index), text)
}

func (f Field) set(to reflect.Value, text string) error {
	if u, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return wrong(f.JSON, "%s: %w", f.spelled(), err)
		}
		return nil
	}
	switch to.Kind() {
	case reflect.Pointer: // nil if it was not given
		to.Set(reflect.New(to.Type().Elem()))
		return f.set(to.Elem(), text)
	case reflect.String:
		to.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong(f.JSON, "%s is true or false, not %q", f.spelled(), plain(text))
		}
		to.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil || text[0] == '+' { // that means so many more in other places
			return wrong(f.JSON, "%s is a number, not %q", f.spelled(), plain(text))
		}
		to.SetInt(int64(n))
	case reflect.Slice:
		one := reflect.New(to.Type().Elem()).Elem()
		if err := f.set(one, text); err != nil {
			return err
		}
		to.Set(reflect.Append(to, one))
	case reflect.Map:
		key, value, ok := strings.Cut(text, "=")
		one := reflect.New(to.Type().Elem()).Elem()
		if one.Kind() == reflect.String {
			one.SetString(value)
		} else if f.set(one, value) != nil {
			return wrong(f.JSON, "%q is not of the form %s", plain(text), f.Name)
		}
		if !ok || key == "" {
			return wrong(f.JSON, "the arguments have the form %s", f.Name)
		}
		if to.IsNil() {
			to.Set(reflect.MakeMap(to.Type()))
		}
		to.SetMapIndex(reflect.ValueOf(key), one)
	default:
		panic("no value of " + to.Type().String() + " can be given as text") // a mistake in the table
	}
	return nil
}

// spelled is the field as a person types it.
func (f Field) spelled() string {
	switch {
	case !f.IsFlag:
		return f.Name
	case f.Short != "":
		return "-" + f.Short
	}
	return "--" + f.Name
}

// parseAge reads a time such as 90s, 2h30m or 90d.
func parseAge(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

// parseSince reads a time: so long before now, or then. A time without a zone is in UTC, as all verbs
// show times.
func parseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := parseAge(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{
		time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04",
		time.DateOnly,
	} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrong("since", "--since is how long ago (90s, 10m, 2h30m, 2d) or "+
		`when (2026-11-25T10:00:00Z, "2026-11-25 10:00:00"), not %q`, plain(text))
}

// Duration is a time such as 10s or 2h30m.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time such as 10s or 2h30m", plain(string(text)))
	}
	*d = Duration(parsed)
	return nil
}
