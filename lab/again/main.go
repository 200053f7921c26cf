// Again runs tests of paas many times and counts how often they fail: a check for tests that fail
// now and then, and for promises that only many rounds can break. It is run from the root of the
// repository:
//
//	go -C lab run ./again -times 200 ./engine/local/child TestThreadEndsFirst
//	go -C lab run ./again -times 20 . TestScripts/crashes_while_proving
//
// The package is a folder of the repository, the second argument as -run of go test takes it. Each
// failed run leaves its output in a file.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	times := flag.Int("times", 20, "how many runs")
	race := flag.Bool("race", true, "with the race detector")
	load := flag.Int("load", 0, "how many threads compute meanwhile")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: again [FLAG...] PACKAGE PATTERN")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	failed, err := again(ctx, flag.Arg(0), flag.Arg(1), *times, *load, *race)
	if err != nil {
		log.Fatal(err)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// again prints a line for each failed run and one at the end.
func again(
	ctx context.Context, pkg, pattern string, times, load int, race bool,
) (failed int, err error) {
	dir, err := os.MkdirTemp("", "paas-again")
	if err != nil {
		return 0, err
	}
	binary := filepath.Join(dir, "test")
	defer func() {
		os.Remove(binary)
		if failed == 0 {
			os.RemoveAll(dir)
		}
	}()
	folder := filepath.Join("..", pkg)
	build := exec.CommandContext(ctx, "go", "test", "-c", fmt.Sprint("-race=", race), "-o", binary)
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	for range load {
		busy := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			return 0, err
		}
		defer busy.Wait()
		defer busy.Process.Kill()
	}
	var took []time.Duration
	for n := range times {
		begin := time.Now()
		run := exec.CommandContext(ctx, binary, "-test.v", "-test.run", pattern)
		run.Dir = folder
		out, err := run.CombinedOutput()
		if ctx.Err() != nil {
			break
		}
		if strings.Contains(string(out), "warning: no tests to run") {
			return 0, fmt.Errorf("%s has no test %s", pkg, pattern)
		}
		took = append(took, time.Since(begin))
		if err != nil {
			failed++
			file := filepath.Join(dir, fmt.Sprintf("%d.log", n+1))
			if err := os.WriteFile(file, out, 0o644); err != nil {
				return failed, err
			}
			fmt.Printf("run %d failed: %s\n", n+1, file)
		}
	}
	if len(took) == 0 {
		return failed, ctx.Err()
	}
	slices.Sort(took)
	median, longest := took[len(took)/2], took[len(took)-1]
	fmt.Printf("%s %s: %d of %d runs failed; median %s, longest %s\n", pkg, pattern, failed,
		len(took), median.Round(10*time.Millisecond), longest.Round(10*time.Millisecond))
	return failed, nil
}
