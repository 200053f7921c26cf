//go:build linux

package main

import (
	"context"
	"fmt"
)

// hasData compares what the app finds in DATA_DIR with what it has written there.
func (d *day) hasData(ctx context.Context, a *app) error {
	if !a.node {
		return nil
	}
	notes, err := d.visitor.notes(ctx, a)
	if err != nil {
		if ctx.Err() == nil {
			d.broken(unnoticed, "%s: its notes: %v", a.name, err)
		}
		return err
	}
	if err := a.intact(notes); err != nil {
		d.broken(nothingLost, "%s: %v", a.name, err)
		return err
	}
	a.notes = notes
	d.held(nothingLost)
	return nil
}

// intact says what is wrong with the notes that the app has.
func (a *app) intact(notes map[string]string) error {
	for name, text := range a.notes {
		if notes[name] != text {
			return fmt.Errorf("%s was %q, and now it is %q", name, text, notes[name])
		}
	}
	for name, text := range notes {
		if _, ok := a.tried[name+"\x00"+text]; !ok {
			return fmt.Errorf("%s is %q, which nobody wrote since the app was made", name, text)
		}
	}
	return nil
}
