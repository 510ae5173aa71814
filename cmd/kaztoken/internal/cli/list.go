package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// usbJSON is a USB device in every JSON output.
type usbJSON struct {
	Vendor       string `json:"vendor"`  // four hexadecimal digits
	Product      string `json:"product"` // four hexadecimal digits
	Release      string `json:"release"` // "1.00"
	Manufacturer string `json:"manufacturer"`
	ProductName  string `json:"product_name"`
	Serial       string `json:"serial"` // "" if the device has none
	Port         string `json:"port"`   // "" if it is on no port
	Bus          int    `json:"bus"`
	Address      int    `json:"address"`
}

func usbOf(d usb.Info) usbJSON {
	return usbJSON{
		Vendor: fmt.Sprintf("%04x", d.Vendor), Product: fmt.Sprintf("%04x", d.Product), Release: release(d.Release),
		Manufacturer: d.Manufacturer, ProductName: d.ProductName, Serial: d.Serial,
		Port: d.Port, Bus: d.Bus, Address: d.Addr,
	}
}

// usbIfKnown is nil if a smart-card service has the device and does not tell.
func usbIfKnown(d usb.Info) *usbJSON {
	if d.ID() == (usb.ID{}) {
		return nil
	}
	j := usbOf(d)
	return &j
}

// release spells a binary-coded version number (USB 2.0 §9.6.1, bcdDevice).
func release(bcd uint16) string { return fmt.Sprintf("%x.%02x", bcd>>8, bcd&0xFF) }

// tokenJSON is one element of list --json.
type tokenJSON struct {
	Name       string   `json:"name"`
	Index      int      `json:"index"`
	Slot       int      `json:"slot"`
	Backend    string   `json:"backend"`
	USB        *usbJSON `json:"usb"` // null through a smart-card service
	Interface  byte     `json:"interface"`
	Accessible bool     `json:"accessible"`
	Holders    []string `json:"holders"`
}

func (a *app) listCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tokens that are plugged in",
		Long: `List the tokens that are plugged in, without opening any.

With --watch, open and power up each token that is there or comes, and print a
line for each arrival, removal and failure until interrupted.

--json prints an array of objects with the keys
  name, index, slot, backend, interface, accessible (this user may open it),
  holders (other programs that have it open), and
  usb: vendor, product, release, manufacturer, product_name, serial, port, bus, address
    (null if a smart-card service has the device)
--watch --json prints one object per line with the keys
  event (arrived, removed, failed, overrun), name, usb, driver, error, hint,
  time, reported (when the kernel said so; null if it did not), and
  slots: slot, state, atr, protocol`,
		Example: `  kaztoken list
  kaztoken list --devices all --json
  kaztoken list --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return a.watch(cmd.Context())
			}
			return a.list(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "print arrivals and removals until interrupted")
	return c
}

func (a *app) list(ctx context.Context) error {
	all, err := a.Find(ctx, a.options)
	if err == nil && a.options.Token != "" {
		var one host.Candidate
		one, err = host.Select(a.options.Token, all)
		all = []host.Candidate{one}
	}
	if err != nil && !errors.Is(err, host.ErrNoToken) {
		return err
	}
	if err != nil {
		all = nil
	}
	if a.json {
		tokens := []tokenJSON{}
		for _, t := range all {
			tokens = append(tokens, tokenJSON{
				Name: t.Name, Index: t.Index, Slot: t.Slot, Backend: t.Backend, USB: usbIfKnown(t.Device), Interface: t.Interface.Number,
				Accessible: !t.Denied, Holders: append([]string{}, t.Holders...),
			})
		}
		return errors.Join(a.printJSON(tokens, "  "), err)
	}
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tUSB ID\tPORT\tADDRESS\tACCESS")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%v\t%s\t%s\t%s\n", t.Name, idOf(t.Device), describe.OrDash(t.Device.Port), addressOf(t.Device), access(t))
	}
	return w.Flush()
}

// idOf spells vendor and product.
func idOf(d usb.Info) string {
	if d.ID() == (usb.ID{}) {
		return "-"
	}
	return d.ID().String()
}

// addressOf spells bus and address as lsusb does, but for the leading zeros.
func addressOf(d usb.Info) string {
	if d.Port == "" {
		return "-"
	}
	return fmt.Sprintf("%d:%d", d.Bus, d.Addr)
}

func access(c host.Candidate) string {
	switch {
	case c.Denied:
		return "no permission"
	case len(c.Holders) > 0:
		return "open in " + strings.Join(c.Holders, ", ")
	case c.Backend == "pcsc":
		return "through PC/SC"
	}
	return "yes"
}

// eventJSON is one line of list --watch --json.
type eventJSON struct {
	Event    string     `json:"event"` // arrived, removed, failed, overrun
	Time     time.Time  `json:"time"`
	Reported *time.Time `json:"reported"` // null if no report of the system led to it
	Name     string     `json:"name"`
	USB      *usbJSON   `json:"usb"`    // null through a smart-card service
	Driver   string     `json:"driver"` // "" for failed
	Slots    []slotJSON `json:"slots"`
	Error    string     `json:"error"`
	Hint     string     `json:"hint"`
}

// slotJSON is a slot and its card.
type slotJSON struct {
	Slot     int    `json:"slot"`
	State    string `json:"state"`
	ATR      string `json:"atr"`      // hexadecimal without spaces; "" without power
	Protocol string `json:"protocol"` // "T=0" or "T=1"; "" without power
}

func (a *app) watch(ctx context.Context) error {
	s, err := a.Follow(a.options)
	if err != nil {
		return err
	}
	defer s.Close()
	sub := s.Subscribe()
	defer sub.Close()
	if !a.json {
		fmt.Fprintln(a.Err, "waiting for tokens; Ctrl-C ends")
	}
	for {
		ev, err := sub.Next(ctx)
		if err != nil {
			return nil // interrupted: the normal end
		}
		if err := a.printEvent(ev); err != nil {
			return err
		}
	}
}

func (a *app) printEvent(ev host.Event) error {
	slots := []slotJSON{}
	if ev.Kind == host.Arrived {
		for _, s := range ev.Reader.Slots() {
			slots = append(slots, slotOf(s))
		}
	}
	var driver, problem, hint string
	if ev.Reader != nil {
		driver = ev.Reader.Driver
	}
	if ev.Err != nil {
		problem, hint = ev.Err.Error(), host.Hint(ev.Err)
	}
	if a.json {
		e := eventJSON{
			Event: ev.Kind.String(), Time: ev.Time, Name: ev.Name, USB: usbIfKnown(ev.Device), Driver: driver,
			Slots: slots, Error: problem, Hint: hint,
		}
		if !ev.Reported.IsZero() {
			e.Reported = &ev.Reported
		}
		return a.printJSON(e, "")
	}
	line := fmt.Sprintf("%s  %-8v  %s", ev.Time.Format("15:04:05.000"), ev.Kind, ev.Name)
	if ev.Device.Port != "" {
		line += ", port " + ev.Device.Port
	}
	for _, s := range slots {
		state := s.State
		if s.Protocol != "" {
			state = s.Protocol
		}
		line += fmt.Sprintf(", slot %d %s", s.Slot, state)
		if s.ATR != "" {
			line += ", ATR " + s.ATR
		}
	}
	if !ev.Reported.IsZero() {
		line += fmt.Sprintf(", %d ms after the kernel's report", ev.Time.Sub(ev.Reported).Milliseconds())
	}
	if problem != "" {
		line += ": " + problem
	}
	if hint != "" && ev.Kind == host.Failed {
		line += "\n              hint: " + hint
	}
	_, err := fmt.Fprintln(a.Out, line)
	return err
}
