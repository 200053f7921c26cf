package main

import (
	"testing"

	"paas/command"
)

// The commands that run in the process of the command line are rows as well.
func TestOwnRowsAreExplained(t *testing.T) {
	for _, row := range ownRows(nil, nil) {
		if row.About().Short == "" {
			t.Errorf("%s is not explained", row.About().Name)
		}
		for _, f := range command.Fields(row.Input()) {
			if f.JSON == "" || f.IsFlag && f.Help == "" {
				t.Errorf("%s: %s is not explained", row.About().Name, f.Name)
			}
		}
	}
}
