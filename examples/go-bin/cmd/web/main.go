// Web shows when the worker last did its work. Both keep their state in $DATA_DIR.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
)

func main() {
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		last, err := os.ReadFile(filepath.Join(os.Getenv("DATA_DIR"), "last"))
		if err != nil {
			last = []byte("never")
		}
		fmt.Fprintf(w, "The worker has worked: %s\n", last)
	})
	log.Fatal(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "3000"), nil))
}
