package cli

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/spf13/cobra"

	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/words"
)

func (a *app) infoCommand() *cobra.Command {
	var reader bool
	c := &cobra.Command{
		Use:   "info",
		Short: "Describe a token",
		Long: `Describe a token: the information window of the vendor's control panel, field by
field, and the state of both PINs. It needs no PIN and costs no try. What the
token does not tell is unknown; what is known of the model alone is marked.

With --reader, describe what is around it instead: the USB device, what its
reader declares, the answer to reset and the protocol, all in words. A reader
without a card is described too, and so is one whose card does not come up, with
exit code 1. Of a reader that a smart-card service has, the service is asked.

--json prints an object with the keys
  token (null if the card cannot be asked): format (pkcs15, vendor, half,
    wiped), reader, pins: user and administrator, as in pin status or null, and
    name, model, id (hexadecimal), version, total_memory, free_memory,
    available_memory (bytes), firmware, manufacturer, user_pin_policy (user,
    admin, both), utf8_pins, rsa_bits (min, max), each with
    value (null if unknown), source (token, inferred, nominal, unknown),
  name, index, backend, driver, atr_words, error (why the card has no power),
  usb: as in list,
  interface (null if a smart-card service has the device): number, class,
    protocol, kind, bulk_out, bulk_in, interrupt, max_packet_size, repairs (what
    the descriptors declare wrongly),
  reader (null as well): version, slots, busy_slots, level, features,
    feature_words, max_message_length, max_ifsd, protocols, voltages, clock_khz and bit_rate
    (default, maximum), pin_pad, display, and
  slot: slot, state, atr, protocol`,
		Example: `  kaztoken info
  kaztoken info --reader
  kaztoken info --token 1-1.4 --json
  kaztoken info --backend virtual --lang kk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.info(cmd.Context(), reader) },
	}
	c.Flags().BoolVar(&reader, "reader", false, "describe the reader and the USB device instead")
	return c
}

func (a *app) info(ctx context.Context, reader bool) error {
	if !reader && !a.json {
		return a.withToken(ctx, a.window)
	}
	h, err := a.Open(ctx, a.options)
	if err != nil {
		return err
	}
	defer h.Close()
	_, failure := h.PowerOn(ctx)
	if failure != nil && (h.Err() != nil || ctx.Err() != nil) {
		return failure
	}
	i := describeReader(ctx, h)
	if failure != nil {
		i.Error = failure.Error()
	} else if a.json {
		i.Token, failure = a.askWindow(ctx, h)
	}
	if a.json {
		err = a.printJSON(i, "  ")
	} else {
		err = printReader(a.Out, h, i)
	}
	if reader && errors.Is(failure, ccid.ErrNoCard) {
		failure = nil // an empty slot is described, too
	}
	return errors.Join(err, failure)
}

// fieldJSON is one field of the information window.
type fieldJSON struct {
	Value  any    `json:"value"` // null if unknown
	Source string `json:"source"`
}

// windowJSON is the information window.
type windowJSON struct {
	Format          string    `json:"format"`
	Reader          string    `json:"reader"`
	Name            fieldJSON `json:"name"`
	Model           fieldJSON `json:"model"`
	ID              fieldJSON `json:"id"`
	Version         fieldJSON `json:"version"`
	TotalMemory     fieldJSON `json:"total_memory"`
	FreeMemory      fieldJSON `json:"free_memory"`
	AvailableMemory fieldJSON `json:"available_memory"`
	Firmware        fieldJSON `json:"firmware"`
	Manufacturer    fieldJSON `json:"manufacturer"`
	Policy          fieldJSON `json:"user_pin_policy"`
	UTF8PINs        fieldJSON `json:"utf8_pins"`
	RSABits         fieldJSON `json:"rsa_bits"`
	PINs            struct {
		User  *pinJSON `json:"user"`
		Admin *pinJSON `json:"administrator"`
	} `json:"pins"`
}

// rangeJSON is a pair of bounds.
type rangeJSON struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// fieldOf turns a field into JSON, its value through as.
func fieldOf[T any](f firmware.Field[T], as func(T) any) fieldJSON {
	j := fieldJSON{Source: f.Source.String()}
	if f.Known() {
		j.Value = as(f.Value)
	}
	return j
}

func same[T any](v T) any { return v }

// askWindow reads the information window of an open token, for JSON.
func (a *app) askWindow(ctx context.Context, h *host.Token) (*windowJSON, error) {
	t, err := a.openFirmware(ctx, h)
	if err != nil {
		return nil, err
	}
	i, err := t.Info(ctx)
	if err != nil {
		return nil, err
	}
	w := &windowJSON{
		Format: describe.Format(i.State), Reader: h.Name,
		Name: fieldOf(i.Name, same), Model: fieldOf(i.Model, same),
		ID:      fieldOf(i.ID, func(id uint64) any { return describe.TokenID(id) }),
		Version: fieldOf(i.Version, same), TotalMemory: fieldOf(i.TotalMemory, same), FreeMemory: fieldOf(i.FreeMemory, same),
		AvailableMemory: fieldOf(i.AvailableMemory, same), Firmware: fieldOf(i.Firmware, same), Manufacturer: fieldOf(i.Manufacturer, same),
		Policy:   fieldOf(i.UserPINPolicy, func(p firmware.Policy) any { return describe.Policy(p) }),
		UTF8PINs: fieldOf(i.UTF8PINs, same),
		RSABits:  fieldOf(i.RSABits, func(r firmware.Range) any { return rangeJSON{r.Min, r.Max} }),
	}
	if i.User.Known() {
		p := pinOf(i.User.Value)
		w.PINs.User = &p
	}
	if i.Admin.Known() {
		p := pinOf(i.Admin.Value)
		w.PINs.Admin = &p
	}
	return w, nil
}

// window prints the information window.
func (a *app) window(ctx context.Context, t *token) error {
	i, err := t.Info(ctx)
	if err != nil {
		return err
	}
	return printSheet(a.Out, describe.Window(a.words, i, t.host.Name))
}

// identify gives a token's name and number, as far as they can be read, for a
// person who has to recognise it.
func (a *app) identify(ctx context.Context, t *token) (name, id string, err error) {
	i, err := t.Info(ctx)
	if err != nil {
		return "", "", err
	}
	return describe.Field(a.words, i.Name, words.Clean), describe.Field(a.words, i.ID, describe.TokenID), nil
}

// serialOf is the token's number in eight bytes, if the token tells it.
func serialOf(ctx context.Context, t *token) (serial []byte, ok bool, err error) {
	i, err := t.Info(ctx)
	if err != nil || !i.ID.Known() {
		return nil, false, err
	}
	return binary.BigEndian.AppendUint64(nil, i.ID.Value), true, nil
}
