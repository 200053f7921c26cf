// Command outside serves the bare repositories in /srv over smart HTTP, as a git host does. The
// sessions run it in a container. While there is a file /srv/hold, requests wait.
package main

import (
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"time"
)

func main() {
	git := &cgi.Handler{
		Path: "/usr/bin/git", Args: []string{"http-backend"},
		Env: []string{"GIT_PROJECT_ROOT=/srv", "GIT_HTTP_EXPORT_ALL=1"},
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		if hold() {
			log.Print("waiting")
		}
		for hold() && r.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		git.ServeHTTP(w, r)
	}
	log.Fatal(http.ListenAndServe(":80", http.HandlerFunc(serve)))
}

func hold() bool {
	_, err := os.Stat("/srv/hold")
	return err == nil
}
