package engine_test

import (
	"fmt"
	"strings"

	"paas/engine"
)

func ExampleExit() {
	fmt.Println(engine.Exit{Code: 3}, engine.Exit{Code: 3}.Status())
	fmt.Println(engine.Exit{Signal: 9, Reason: "used 64 MiB of memory; the limit is 64 MiB"}, engine.Exit{Signal: 9}.Status())
	fmt.Println(engine.Exit{}.Err())
	// Output:
	// exit status 3 3
	// signal: killed: used 64 MiB of memory; the limit is 64 MiB 137
	// <nil>
}

func ExampleExpand() {
	env := map[string]string{"DATA_DIR": engine.Data, "PATH": engine.Tree + "/bin:" + engine.Cache + "/node/bin", "PORT": engine.Port}
	env = engine.Expand(env, "/app", "/data", "/cache", "/toolchains", "5000")
	fmt.Println(strings.Join([]string{env["DATA_DIR"], env["PATH"], env["PORT"]}, " "))
	// Output: /data /app/bin:/cache/node/bin 5000
}
