package wire

import (
	"errors"
	"fmt"
	"strings"

	"paas/engine"
)

// What a client may ask for at most.
const (
	maxIndex  = 1 << 16
	maxOutput = 1 << 20 // bytes of [engine.Command.Max]
)

// starts reports whether the request starts something.
func (r request) starts() bool {
	switch r.Call {
	case callWant, callStart, callExec:
		return true
	}
	return false
}

// check returns an error if the request has values that no engine expects.
func (r request) check() error {
	switch {
	case r.Grace < 0 || r.Job.Grace < 0:
		return errors.New("negative grace")
	case r.Number < 0 || r.Call == callDial && r.Number > 0xffff:
		return fmt.Errorf("number %d", r.Number)
	}
	switch r.Call {
	case callWant:
		return errors.Join(checkUnit(r.Unit), checkArgv(r.Unit.Argv))
	case callStart:
		err := errors.Join(checkType(r.Job.Type), checkIndex(r.Job.Index), checkArgv(r.Job.Argv))
		if d := r.Job.Detached; d != nil {
			err = errors.Join(err, checkType(d.Log))
		}
		return err
	case callExec:
		if r.Command.Max < 0 || r.Command.Max > maxOutput {
			return fmt.Errorf("%d bytes of output", r.Command.Max)
		}
		return checkArgv(r.Command.Argv)
	}
	return nil
}

func checkUnit(u engine.Unit) error {
	if len(u.Indexes) > maxIndex {
		return fmt.Errorf("%d processes", len(u.Indexes))
	}
	for _, index := range u.Indexes {
		if err := checkIndex(index); err != nil {
			return err
		}
	}
	return checkType(u.Name.Type)
}

func checkIndex(index int) error {
	if index < 0 || index > maxIndex {
		return fmt.Errorf("index %d", index)
	}
	return nil
}

// checkType checks the type of a process or the name of a log: a part of the name of a file.
func checkType(t string) error {
	if t == "" || strings.ContainsAny(t, "/\x00") {
		return fmt.Errorf("type or name %.20q", t)
	}
	return nil
}

func checkArgv(argv []string) error {
	if len(argv) == 0 {
		return errors.New("no command")
	}
	return nil
}
