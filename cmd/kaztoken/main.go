// Command kaztoken drives the KAZTOKEN and its relatives over USB.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kaztoken/cmd/kaztoken/internal/cli"
)

// Set by the linker: -X main.version=v1.2.3 -X main.commit=4d5c…
var version, commit string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	env := cli.System(version)
	env.Commit = commit
	os.Exit(cli.Main(ctx, env, os.Args[1:]))
}
