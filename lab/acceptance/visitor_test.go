package acceptance

import (
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/visitor"
)

// patience is how long a session waits for something to happen.
const patience = 90 * time.Second

// request sends a request to the front door, for any name under localhost.
func request(ts *testscript.TestScript, place string) (int, string, error) {
	host, path, _ := strings.Cut(place, "/")
	port := ts.Getenv("HTTP_PORT")
	return visitor.Get(port, host+":"+port, "/"+path)
}

// get HOST[/PATH] STATUS [TEXT] sends one request. The answer must have the status, and its body
// must contain TEXT. With ! it must not.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: get HOST[/PATH] STATUS [TEXT]")
	}
	code, body, err := request(ts, args[0])
	good := err == nil && fmt.Sprint(code) == args[1] && (len(args) < 3 || strings.Contains(body,
		args[2]))
	if good == neg {
		ts.Fatalf("%s answered %d: %s (%v)", args[0], code, body, err)
	}
}

// see HOST[/PATH] STATUS [TEXT] repeats get until it succeeds.
func cmdSee(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: see HOST[/PATH] STATUS [TEXT]")
	}
	var code int
	var body string
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code, body, err = request(ts, args[0])
		if err == nil && fmt.Sprint(code) == args[1] && (len(args) < 3 || strings.Contains(body,
			args[2])) {
			return
		}
	}
	ts.Fatalf("%s still answers %d: %s (%v)", args[0], code, body, err)
}
