package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"weelo/internal/config"
)

func healthCommand() command {
	return command{
		name: "health", summary: "ask a running weelo whether it is healthy (for Docker)",
		help: `
Asks GET /health on this machine's PORT, prints the answer, and exits with 0 when it is 200.
The image uses it as its HEALTHCHECK: it needs no shell and no curl.

  weelo health
  weelo health --url https://dispatch.example.org`,
		flags: func(fs *flag.FlagSet) func(context.Context, []string, surroundings) error {
			url := fs.String("url", "", "base `URL` of the server (default http://127.0.0.1:PORT)")
			return func(ctx context.Context, args []string, s surroundings) error {
				if err := noArgs(args); err != nil {
					return err
				}
				if *url == "" {
					cfg, err := config.Load(s.environ)
					if err != nil {
						return err
					}
					*url = fmt.Sprintf("http://127.0.0.1:%d", cfg.Server.Port)
				}
				return askHealth(ctx, *url, s.out)
			}
		},
	}
}

func askHealth(ctx context.Context, base string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, strings.TrimSpace(string(body)))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}
