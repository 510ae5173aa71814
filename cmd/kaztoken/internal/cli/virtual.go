package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb/usbip"
)

// usbipPort is the port that the usbip tool takes by default.
const usbipPort = "3240"

func (a *app) virtualCommand() *cobra.Command {
	var address, profile string
	c := &cobra.Command{
		Use:   "virtual --usbip ADDR",
		Short: "Serve a virtual token over USB/IP",
		Long: `Serve a token in software over USB/IP. A Linux kernel with the module vhci-hcd
that attaches it sees a USB device like any other, down to its endpoints.

ADDR is HOST:PORT; without a port it is ` + usbipPort + `. USB/IP has no protection of its own:
serve on a network only what anybody on it may use. The virtual token is as it
leaves the factory each time; its user PIN is 12345678, its administrator PIN
87654321.

--json prints an object, once the token can be attached, with the keys
  profile, usb (as in list), address, bus_id

Profiles: ` + strings.Join(profileNames(), ", ") + `.`,
		Example: `  kaztoken virtual --usbip 127.0.0.1
  kaztoken virtual --usbip 127.0.0.1:3240 --profile extended`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" {
				return &usageError{errors.New("--usbip ADDR is missing")}
			}
			return a.virtual(cmd.Context(), address, profile)
		},
	}
	c.Flags().StringVar(&address, "usbip", "", "`ADDR` to serve on")
	c.Flags().StringVar(&profile, "profile", ccidsim.KAZTOKEN.Name, "`NAME` of the kind of device")
	must(c.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profileNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// servedJSON is the output of virtual --json, printed when the token can be
// attached.
type servedJSON struct {
	Profile string  `json:"profile"`
	USB     usbJSON `json:"usb"`
	Address string  `json:"address"`
	BusID   string  `json:"bus_id"`
}

func (a *app) virtual(ctx context.Context, address, profile string) error {
	dev, err := newVirtual(profile)
	if err != nil {
		return &usageError{err}
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), usbipPort)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	var server usbip.Server
	busID, err := server.Add(dev)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	if err := a.announce(dev, l.Addr().String(), busID); err != nil {
		return errors.Join(err, l.Close())
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		server.Close() // it has nothing to report
	})
	err = server.Serve(l)
	if !stop() {
		<-closed // interrupted: the normal end
		return nil
	}
	return errors.Join(err, server.Close())
}

// announce says where the token is served and how to attach it.
func (a *app) announce(dev *ccidsim.Device, address, busID string) error {
	info := dev.Info()
	a.log.WithField("address", address).WithField("bus_id", busID).Debug("serving over USB/IP")
	if a.json {
		return a.printJSON(servedJSON{Profile: dev.Profile().Name, USB: usbOf(info), Address: address, BusID: busID}, "")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	tool := "usbip"
	if port != usbipPort {
		tool += " --tcp-port " + port
	}
	_, err = fmt.Fprintf(a.Err, `serving a virtual %s %s (%v) on %s; Ctrl-C ends
attach it, as root, with:
  modprobe vhci-hcd
  %s attach -r %s -b %s
`, info.Manufacturer, info.ProductName, info.ID(), address, tool, host, busID)
	return err
}

// newVirtual makes a device of a profile, with a card in every slot.
func newVirtual(profile string) (*ccidsim.Device, error) {
	for _, p := range ccidsim.Profiles() {
		if p.Name == profile {
			var cards []ccidsim.Card
			for range p.Interface.Reader.Slots() {
				cards = append(cards, emu.New(emu.WithATR(p.ATR)))
			}
			return ccidsim.New(p, cards...), nil
		}
	}
	return nil, fmt.Errorf("profile %q: want one of %s", profile, strings.Join(profileNames(), ", "))
}

func profileNames() []string {
	var names []string
	for _, p := range ccidsim.Profiles() {
		names = append(names, p.Name)
	}
	return names
}
