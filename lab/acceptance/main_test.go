package acceptance

import (
	"log"
	"os"
	"testing"
)

// binaries is the folder for programs that the sessions need.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "paas-acceptance"); err != nil {
		log.Fatal(err)
	}
	status := m.Run()
	os.RemoveAll(binaries)
	os.Exit(status)
}
