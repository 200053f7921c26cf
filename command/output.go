package command

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"text/tabwriter"
)

// Format is how an answer is written.
type Format string

const (
	Text Format = "text"
	JSON Format = "json"
)

// Page takes a verb's text for people. If a write fails, the verb fails.
type Page struct {
	*Call
	err error
}

func newPage(c *Call) *Page { return &Page{Call: c} }

// Write writes a part of the answer.
func (p *Page) Write(text []byte) (int, error) {
	n, err := p.Stdout.Write(text)
	if p.err == nil {
		p.err = err
	}
	return n, err
}

func (p *Page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// table writes rows of cells, aligned. The cells of a row end in tabs.
func (p *Page) table(write func(io.Writer)) {
	t := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	write(t)
	t.Flush()
}

// list writes a table with a heading.
func list[Row any](p *Page, rows []Row, heading string, cells func(Row) string) {
	p.table(func(w io.Writer) {
		fmt.Fprintln(w, heading)
		for _, r := range rows {
			fmt.Fprintln(w, cells(r))
		}
	})
}

func orNone(s string) string { return cmp.Or(s, "-") }

// listed is a list that in JSON is [] without rows, not null.
func listed[Row any](rows []Row) []Row {
	if rows == nil {
		return []Row{}
	}
	return rows
}

// choice is an answer that is one of several values.
type choice interface{ inJSON() any }

// oneOrAll is an answer about one app, or about all apps if one is nil.
type oneOrAll[T any] struct {
	one *T
	all []T
}

func (a oneOrAll[T]) inJSON() any {
	if a.one != nil {
		return a.one
	}
	return a.all
}

// writeJSON writes an answer. A list without rows is [], not null.
func writeJSON(w io.Writer, answer any) error {
	if c, ok := answer.(choice); ok {
		answer = c.inJSON()
	}
	if v := reflect.ValueOf(answer); v.Kind() == reflect.Slice && v.IsNil() {
		answer = []struct{}{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(answer)
}

// jsonLines writes each event as a line of JSON. Bytes of text that are not UTF-8 become U+FFFD.
type jsonLines[Event any] struct {
	out     *bufio.Writer
	encoder *json.Encoder
}

func newJSONLines[Event any](w io.Writer) jsonLines[Event] {
	out := bufio.NewWriterSize(w, 32<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return jsonLines[Event]{out, encoder}
}

func (l jsonLines[Event]) Tell(e Event) error { return l.encoder.Encode(e) }

func (l jsonLines[Event]) Flush() error { return l.out.Flush() }
