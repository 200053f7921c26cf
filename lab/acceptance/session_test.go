package acceptance

import "github.com/rogpeppe/go-internal/testscript"

// session is the state of one script.
type session struct {
	project
	load *load
}

type sessionKey struct{}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }
