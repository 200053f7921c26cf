package acceptance

import (
	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/visitor"
)

// session is the state of one script.
type session struct {
	project
	load *visitor.Load
}

type sessionKey struct{}

func sessionOf(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }
