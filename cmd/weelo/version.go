package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
)

func versionCommand() command {
	return command{
		name: "version", summary: "print the version",
		help: "Prints the version, the Go release it was built with and the platform.",
		flags: func(*flag.FlagSet) func(context.Context, []string, surroundings) error {
			return func(_ context.Context, args []string, s surroundings) error {
				fmt.Fprintf(s.out, "weelo %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return noArgs(args)
			}
		},
	}
}
