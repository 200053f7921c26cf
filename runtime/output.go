package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"paas/volume"
)

// keptOutputs is how many outputs of detached commands are kept for an app.
const keptOutputs = 20

// outputFile is the path of the output of the app's detached command n.
func outputFile(app volume.App, n int) string {
	return filepath.Join(app.Logs(), fmt.Sprintf("run.%d.log", n))
}

var outputName = regexp.MustCompile(`^run\.([1-9][0-9]{0,8})\.log$`)

// outputs lists the numbers of the app's detached commands that have an output, in order.
func outputs(app volume.App) (numbers []int) {
	entries, _ := os.ReadDir(app.Logs()) // if that fails, so does writing there
	for _, e := range entries {
		if m := outputName.FindStringSubmatch(e.Name()); m != nil {
			n, _ := strconv.Atoi(m[1])
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// prune removes the oldest outputs, so that one more is within the limit.
func (r *oneOff) prune() {
	numbers := outputs(r.app)
	for i := 0; i <= len(numbers)-keptOutputs; i++ {
		path := outputFile(r.app, numbers[i])
		os.Remove(path + ".1") // if there is one
		if err := os.Remove(path); err != nil {
			r.log.Error("cannot remove an old output", "err", err)
		}
	}
}
