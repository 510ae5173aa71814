// Command kaztoken drives the KAZTOKEN and its relatives over USB.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kaztoken/cmd/kaztoken/internal/cli"
)

var version string // set by the linker: -X main.version=v1.2.3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Main(ctx, cli.System(version), os.Args[1:]))
}
