//go:build linux

package main

import (
	"context"
	"fmt"
)

// keepsData compares the app's DATA_DIR with what was written there.
func (d *day) keepsData(ctx context.Context, a *app) error {
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
	if err := a.notesFault(notes); err != nil {
		d.broken(nothingLost, "%s: %v", a.name, err)
		return err
	}
	a.notes = notes
	d.kept(nothingLost)
	return nil
}

// notesFault returns an error if the app's notes are not those that were written.
func (a *app) notesFault(notes map[string]string) error {
	for name, text := range a.notes {
		if notes[name] != text {
			return fmt.Errorf("%s was %q, and now it is %q", name, text, notes[name])
		}
	}
	for name, text := range notes {
		if _, ok := a.possible[name+"\x00"+text]; !ok {
			return fmt.Errorf("%s is %q, which nobody wrote since the app was made", name, text)
		}
	}
	return nil
}
