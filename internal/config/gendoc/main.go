// Command gendoc writes docs/configuration.md and .env.example from the configuration structs, so
// that what people read is what the program reads. Run by go generate.
package main

import (
	"fmt"
	"os"

	"weelo/internal/config"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gendoc CONFIGURATION.md ENV_EXAMPLE")
		os.Exit(2)
	}
	for path, text := range map[string]string{os.Args[1]: config.Markdown(), os.Args[2]: config.DotEnv()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // documentation is for everybody
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
