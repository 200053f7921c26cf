// Worker writes down every second that it has worked.
package main

import (
	"log"
	"os"
	"path/filepath"
	"time"
)

func main() {
	file := filepath.Join(os.Getenv("DATA_DIR"), "last")
	for now := range time.Tick(time.Second) {
		if err := os.WriteFile(file, []byte(now.UTC().Format(time.TimeOnly)), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
