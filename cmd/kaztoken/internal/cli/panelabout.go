//go:build !minimal

package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"kaztoken/bridge/client"
	"kaztoken/internal/host"
	"kaztoken/internal/panel"
	"kaztoken/internal/registration"
	"kaztoken/internal/words"
	"kaztoken/usb/libusb"
)

// registered reports whether applications find tokens through the PKCS#11 module:
// it is installed, and one of their lists has it.
func (a *app) registered(w words.Words) panel.Registration {
	s, err := a.Applications(a.Getenv)
	if err != nil {
		return panel.Registration{Hint: w.Text("registered.none")}
	}
	if _, err := s.Module(); err != nil {
		if errors.Is(err, registration.ErrNoModule) {
			return panel.Registration{Hint: w.Text("registered.none")}
		}
		return panel.Registration{Hint: w.Text("error.other")}
	}
	for _, p := range s.Places() {
		if module, err := p.Registered(); err == nil && module != "" {
			return panel.Registration{Done: true}
		}
	}
	return panel.Registration{Hint: w.Text("registered.not", "command", "kaztoken register")}
}

// serviceAsked bounds the question which smart-card service there is.
const serviceAsked = 2 * time.Second

// aboutPanel is what the program knows of itself and of what is around it.
func (a *app) aboutPanel(ctx context.Context, w words.Words) panel.About {
	about := panel.About{Version: a.Version, Commit: a.Commit, Platform: platform() + ", " + runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if about.Version == "" {
			about.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && about.Commit == "" {
				about.Commit = s.Value
			}
		}
	}
	orNone := func(s string) string {
		if s == "" {
			return w.Text("about.absent")
		}
		return s
	}
	about.Facts = []panel.Fact{
		{Label: "about.libusb", Value: orNone(libusb.Version())},
		{Label: "about.drivers", Value: orNone(strings.Join(host.DriverNames(), ", "))},
	}
	if runtime.GOOS == "linux" { // elsewhere the service is a part of the system
		about.Facts = append(about.Facts, panel.Fact{Label: "about.pcsc", Value: serviceFact(ctx, w)})
	}
	about.Facts = append(about.Facts, panel.Fact{Label: "about.settings", Value: orNone(a.settingsPath)})
	return about
}

// serviceFact says which smart-card service there is, and which protocol it speaks.
func serviceFact(ctx context.Context, w words.Words) string {
	ctx, cancel := context.WithTimeout(ctx, serviceAsked)
	defer cancel()
	c, err := client.Dial(ctx, client.Path())
	if err != nil {
		return w.Text("about.absent")
	}
	defer c.Close() // nothing is connected
	v := c.Version()
	version := fmt.Sprintf("%d:%d", v.Major, v.Minor)
	if _, err := host.AskStatus(ctx, client.Path()); err == nil {
		return w.Text("about.ours", "version", version)
	}
	return w.Text("about.found", "version", version)
}
