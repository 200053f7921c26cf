package logs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// The cost of a line that comes alone, as from an app that prints now and then, and of one in a
// batch, as from an app that prints much.
func BenchmarkFile(b *testing.B) {
	for _, lines := range []int{1, 50} {
		b.Run(fmt.Sprintf("%d lines a write", lines), func(b *testing.B) {
			f := &File{Path: filepath.Join(b.TempDir(), "web.1.log")}
			defer f.Close()
			text := []byte(strings.Repeat(strings.Repeat("x", 99)+"\n", lines))
			b.ReportAllocs()
			for range b.N {
				f.Write(text)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}
