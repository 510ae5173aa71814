//go:build !minimal

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
)

// browse opens an address in the person's default browser. It does not wait for the
// browser's end.
//
// The address stands in the arguments of a process for a moment, where others may
// read it. It works once, and whoever was first is seen: the other is refused.
func browse(ctx context.Context, address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no web address", address)
	}
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return errors.New(name + " is not installed")
	}
	c := exec.CommandContext(context.WithoutCancel(ctx), path, address)
	if err := c.Start(); err != nil {
		return err
	}
	go c.Wait() // the browser may stay for hours
	return nil
}
