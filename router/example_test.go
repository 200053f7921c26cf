package router_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"paas/router"
)

// An app moves from one process to the next. Clients use the same address throughout.
func ExampleRouter() {
	one, two := process("version 1"), process("version 2")
	defer one.Close()
	defer two.Close()

	r := &router.Router{Addr: "127.0.0.1:0", Domain: "example.com"}
	if err := r.Listen(); err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- r.Run(ctx) }()

	r.Set("blog", router.Route{Addrs: []string{one.Listener.Addr().String()}})
	fmt.Println(get(r, "blog.example.com"))

	drained := r.Set("blog", router.Route{Addrs: []string{two.Listener.Addr().String()}})
	<-drained // the first process may stop now
	fmt.Println(get(r, "blog.example.com"))

	r.Remove("blog")
	fmt.Println(get(r, "blog.example.com"))

	stop()
	fmt.Println(<-stopped)
	// Output:
	// 200 OK: version 1
	// 200 OK: version 2
	// 404 Not Found: There is no app at blog.example.com
	// <nil>
}

// process is a process of an app.
func process(says string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, says)
	}))
}

// get returns the status and the first line of the page at host.
func get(r *router.Router, host string) string {
	req, _ := http.NewRequest("GET", "http://"+r.Address().String(), nil)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, _ := io.ReadAll(resp.Body)
	line, _, _ := strings.Cut(string(body), "\n")
	return resp.Status + ": " + line
}
