package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// surroundings is what a command gets from the process, so that tests can give it something else.
type surroundings struct {
	environ  []string
	out, err io.Writer
}

// command is one subcommand. Its help says when to use it, not only its flags.
type command struct {
	name    string
	summary string // one line, for the list
	help    string // what it does and an example or two
	// flags declares the flags and answers the function that runs with them.
	flags func(fs *flag.FlagSet) func(ctx context.Context, args []string, s surroundings) error
}

// commands in the order in which people meet them.
func commands() []command {
	return []command{
		devCommand(), serveCommand(), seedCommand(), migrateCommand(), simulateCommand(), benchCommand(), inspectCommand(),
		healthCommand(), versionCommand(),
	}
}

// errUsage marks a mistake in how a command was called; it was already explained.
var errUsage = errors.New("wrong usage")

func usagef(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errUsage}, args...)...)
}

func (c command) execute(ctx context.Context, args []string, s surroundings) int {
	fs := flag.NewFlagSet("weelo "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	do := c.flags(fs)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c.teach(s.out, fs)
		return 0
	case err != nil:
		fmt.Fprintf(s.err, "weelo %s: %v\nTry weelo %s --help.\n", c.name, err, c.name)
		return 2
	}
	switch err := do(ctx, fs.Args(), s); {
	case errors.Is(err, errUsage):
		fmt.Fprintf(s.err, "weelo %s: %s\nTry weelo %s --help.\n", c.name, strings.TrimPrefix(err.Error(), errUsage.Error()+": "), c.name)
		return 2
	case err != nil:
		fmt.Fprintf(s.err, "weelo %s: %v\n", c.name, err)
		return 1
	}
	return 0
}

func (c command) teach(w io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(w, "weelo %s: %s\n\n%s\n", c.name, c.summary, strings.TrimSpace(c.help))
	any := false
	fs.VisitAll(func(*flag.Flag) { any = true })
	if any {
		fmt.Fprintf(w, "\nFlags:\n")
		fs.SetOutput(w)
		fs.PrintDefaults()
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "weelo moves trucks: it logs people in, keeps trips and shows positions live.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  weelo %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nweelo COMMAND --help teaches each. The environment is described in docs/configuration.md.\n")
}

// noArgs refuses what a command would ignore.
func noArgs(args []string) error {
	if len(args) > 0 {
		return usagef("%q is not understood", args[0])
	}
	return nil
}
