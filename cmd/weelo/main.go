// Command weelo is the engine: one binary that serves, migrates, demonstrates and measures itself.
//
// It only introduces: wire.go is the one file where concrete meets concrete, each subcommand is one
// file, and everything that decides something lives elsewhere.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker (-X main.version=…).
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() { // a second signal ends the process at once
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], surroundings{environ: os.Environ(), out: os.Stdout, err: os.Stderr}))
}

// run finds the subcommand and answers the exit code: 0 done, 1 failed, 2 asked wrongly.
func run(ctx context.Context, args []string, s surroundings) int {
	if len(args) == 0 {
		usage(s.err)
		return 2
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		if len(args) == 1 {
			usage(s.out)
			return 0
		}
		args = []string{args[1], "--help"} // weelo help serve
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.execute(ctx, args[1:], s)
		}
	}
	fmt.Fprintf(s.err, "weelo: there is no %q\n\n", args[0])
	usage(s.err)
	return 2
}
