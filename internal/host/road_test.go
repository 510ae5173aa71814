package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/udev"
	"kaztoken/usb"
)

func candidates() []Candidate {
	var all []Candidate
	for i, d := range []struct {
		port, serial, product string
		bus, addr             int
	}{
		{"1-1", "32D18A58", "KAZTOKEN", 1, 4},
		{"1-1.4", "", "KAZTOKEN", 1, 12},
		{"3-2", "12", "Rutoken ECP", 3, 1},
	} {
		dev := usb.Info{Bus: d.bus, Addr: d.addr, Port: d.port, Manufacturer: "DigiFlow LLP.", ProductName: d.product, Serial: d.serial}
		all = append(all, Candidate{Index: i, Name: Name(dev, i, 0), Device: dev})
	}
	return all
}

func TestSelect(t *testing.T) {
	all := candidates()
	for _, c := range []struct {
		selector string
		want     int // index; -1 none, -2 ambiguous
	}{
		{"32D18A58", 0},
		{"32d18a58", 0},
		{"12", 2}, // a serial number before a number
		{"1", 1},
		{"01", 1},
		{"7", -1},
		{"1-1", 0},
		{"1-1.4", 1},
		{"1-1.5", -1},
		{"1:12", 1},
		{"001:004", 0},
		{"3:4", -1},
		{"DigiFlow LLP. KAZTOKEN 01 00", 1},
		{"digiflow llp. kaztoken 01 00", 1},
		{"rutoken", 2},
		{"kaztoken", -2},
		{"", -2},
		{"nothing like it", -1},
	} {
		t.Run(c.selector, func(t *testing.T) {
			got, err := Select(c.selector, all)
			var ambiguous *AmbiguousError
			switch {
			case c.want >= 0:
				if err != nil || got.Index != c.want {
					t.Errorf("got %d, %v, want %d", got.Index, err, c.want)
				}
			case c.want == -1:
				if !errors.Is(err, ErrNoToken) || !strings.Contains(Hint(err), "port 1-1.4, address 1:12") {
					t.Errorf("error %v, hint %q, want ErrNoToken with what there is", err, Hint(err))
				}
			default:
				if !errors.As(err, &ambiguous) || len(ambiguous.Candidates) < 2 || !strings.Contains(err.Error(), "port 1-1.4") || Hint(err) == "" {
					t.Errorf("error %v, want an AmbiguousError with the candidates", err)
				}
			}
		})
	}
	if one, err := Select("", all[2:]); err != nil || one.Index != 2 {
		t.Errorf("the only one: %d, %v", one.Index, err)
	}
	if _, err := Select("x", nil); err != ErrNoToken {
		t.Errorf("among none: %v, want ErrNoToken", err)
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct {
		dev         usb.Info
		index, slot int
		want        string
	}{
		{usb.Info{Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN"}, 0, 0, "DigiFlow LLP. KAZTOKEN 00 00"},
		{usb.Info{Manufacturer: "SCM", ProductName: "SCM Reader", Serial: "7"}, 17, 1, "SCM Reader (7) 11 01"},
		{usb.Info{Vendor: 0x0a89, Product: 0x0035}, 0, 0, "0a89:0035 00 00"},
	} {
		if got := Name(c.dev, c.index, c.slot); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestFilters(t *testing.T) {
	id := func(vendor, product uint16) usb.Info { return usb.Info{Vendor: vendor, Product: product} }
	for _, c := range []struct {
		dev  usb.Info
		want string // which filters pass it
	}{
		{id(0x0a89, 0x0035), "kaztoken rutoken all"},
		{id(0x0a89, 0x0030), "rutoken all"},
		{id(0x08e6, 0x3437), "all"},
	} {
		var got []string
		for _, name := range FilterNames() {
			f, err := filterNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			if f(c.dev, usb.Interface{}) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v passes %v, want %s", c.dev, got, c.want)
		}
	}
	if got := Filter(AnyReader).interfaces(usb.Info{Descriptors: []byte{18, 1, 0}}); got != nil {
		t.Errorf("broken descriptors give interfaces: %v", got)
	}
}

func TestOptions(t *testing.T) {
	var option *OptionError
	for _, o := range []Options{{Backend: "pigeon"}, {Devices: "mice"}} {
		if _, err := Find(t.Context(), o); !errors.As(err, &option) {
			t.Errorf("%+v: %v, want an OptionError", o, err)
		}
	}
	var driver *DriverError
	if _, err := OpenToken(t.Context(), Options{Driver: "winusb"}); !errors.As(err, &driver) || !slices.Equal(driver.Have, DriverNames()) {
		t.Errorf("unknown driver: %v, want a DriverError", err)
	}
}

func TestNoticeOf(t *testing.T) {
	at := time.Now()
	for _, c := range []struct {
		event udev.Event
		want  Action
		drop  bool
	}{
		{event: udev.Event{Action: udev.Add}, want: Added},
		{event: udev.Event{Action: udev.Add, Settled: true}, want: Changed},
		{event: udev.Event{Action: udev.Add, Synthetic: true}, want: Changed},
		{event: udev.Event{Action: udev.Bind}, want: Changed},
		{event: udev.Event{Action: udev.Change}, want: Changed},
		{event: udev.Event{Action: udev.Remove}, want: Gone},
		{event: udev.Event{Action: udev.Remove, Settled: true}, drop: true},
		{event: udev.Event{Action: udev.Remove, Synthetic: true}, drop: true},
	} {
		c.event.Bus, c.event.Addr, c.event.Time = 1, 4, at
		n, ok := noticeOf(c.event)
		if ok == c.drop || ok && n != (Notice{c.want, 1, 4, at}) {
			t.Errorf("%+v: %+v, %v", c.event, n, ok)
		}
	}
}

func TestExplain(t *testing.T) {
	dev := usb.Info{Bus: 1, Addr: 4, Vendor: 0x0a89, Product: 0x0035}
	held := func(hs ...udev.Holder) func(usb.Info) []udev.Holder {
		return func(usb.Info) []udev.Holder { return hs }
	}
	for _, c := range []struct {
		err         error
		holders     func(usb.Info) []udev.Holder
		text, hint  string
		mustBe      error
		description string
	}{
		{usb.ErrAccess, held(), "bus 1 device 4 (0a89:0035)", "udevadm trigger", usb.ErrAccess, "access"},
		{usb.ErrBusy, held(), "held by another program", "fuser", usb.ErrBusy, "nobody seen"},
		{usb.ErrBusy, held(udev.Holder{PID: 812, Name: "pcscd"}), "held by pcscd (pid 812)", "pcscd.socket", usb.ErrBusy, "pcscd"},
		{usb.ErrBusy, held(udev.Holder{PID: 9, Name: "scdaemon"}), "scdaemon (pid 9)", "gpgconf", usb.ErrBusy, "scdaemon"},
		{usb.ErrBusy, held(udev.Holder{PID: 9, Name: "qemu"}), "qemu (pid 9)", "end that program", usb.ErrBusy, "other"},
		{fs.ErrInvalid, held(), "bus 1 device 4", "", fs.ErrInvalid, "other error"},
		{fmt.Errorf("%v: %w", dev, usb.ErrGone), held(), "USB device is gone", "plug the token in again", usb.ErrGone, "said already"},
	} {
		t.Run(c.description, func(t *testing.T) {
			err := explain(c.err, dev, c.holders)
			if !errors.Is(err, c.mustBe) || !strings.Contains(err.Error(), c.text) || strings.Count(err.Error(), "0a89:0035") != 1 {
				t.Errorf("error %q", err)
			}
			if got := Hint(err); !strings.Contains(got, c.hint) || (got == "") != (c.hint == "") {
				t.Errorf("hint %q, want %q", got, c.hint)
			}
		})
	}
}

// simRoad is a road to software devices, one per profile.
func simRoad(devices ...*ccidsim.Device) *usbRoad {
	var infos []usb.Info
	for i, d := range devices {
		info := d.Info()
		info.Bus, info.Addr, info.Port = 1, 2+i, fmt.Sprintf("1-%d", 1+i)
		infos = append(infos, info)
	}
	return &usbRoad{
		backend: "test",
		source:  Compared(func(context.Context) ([]usb.Info, error) { return infos, nil }, nil, time.Second),
		driver: Driver{"test", func(_ context.Context, dev usb.Info, _ usb.Interface) (usb.Pipe, error) {
			return devices[dev.Addr-2].Pipe(), nil
		}},
		filter:  AnyReader,
		inspect: func(*Candidate) {},
	}
}

func cardsFor(p ccidsim.Profile) (cards []ccidsim.Card) {
	for range p.Interface.Reader.Slots() {
		cards = append(cards, emu.New(emu.WithATR(p.ATR)))
	}
	return cards
}

// TestNoPINInLogs verifies, changes and unblocks a PIN on every kind of reader
// with every log level on, and looks for the PINs in what was logged.
func TestNoPINInLogs(t *testing.T) {
	pins := []string{"12345678", "24681357"}
	for _, p := range ccidsim.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			var out bytes.Buffer
			log := logrus.New()
			log.SetOutput(&out)
			log.SetLevel(logrus.TraceLevel)
			r := simRoad(ccidsim.New(p, cardsFor(p)...))
			all, err := r.find(t.Context())
			if err != nil || len(all) == 0 {
				t.Fatalf("find: %v, %v", all, err)
			}
			tok, err := r.open(t.Context(), all[0], log)
			if err != nil {
				t.Fatal(err)
			}
			defer tok.Close()
			if _, err := tok.PowerOn(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, ins := range []byte{0x20, 0x21, 0x24, 0x2C} {
				body := []byte(pins[0] + pins[1])
				apdu := append([]byte{0x00, ins, 0x00, 0x02, byte(len(body))}, body...)
				for _, cla := range []byte{0x00, 0x10} {
					apdu[0] = cla
					if _, err := tok.Transmit(t.Context(), nil, apdu); err != nil {
						t.Fatalf("INS %02X: %v", ins, err)
					}
				}
			}
			if err := tok.Close(); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			if !strings.Contains(text, "ins=20") || !strings.Contains(text, "hidden=") {
				t.Error("the exchanges were not logged at all")
			}
			for _, pin := range pins {
				// Parts too: a T=1 chain or a packet may cut a PIN anywhere.
				for _, part := range []string{pin, pin[:4], pin[4:]} {
					for _, form := range []string{"%s", "%X", "%x", "% X", "% x", "%d"} {
						if s := strings.Trim(fmt.Sprintf(form, []byte(part)), "[]"); strings.Contains(text, s) {
							t.Errorf("the log shows %q", s)
						}
					}
				}
			}
		})
	}
}

func TestOpenToken(t *testing.T) {
	tok, err := OpenToken(t.Context(), Options{Backend: "virtual", VirtualState: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	apdu := []byte{0x00, 0xCA, 0x01, 0x81, 0x00}
	if _, err := tok.Transmit(t.Context(), nil, apdu); !errors.Is(err, ccid.ErrCardReset) {
		t.Errorf("without power: %v, want ErrCardReset", err)
	}
	if atr := tok.ATR(); len(atr) != 0 {
		t.Errorf("without power the ATR is % X", atr)
	}
	if _, err := tok.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if atr := tok.ATR(); !bytes.Equal(atr, ccidsim.KAZTOKEN.ATR) {
		t.Errorf("ATR % X", atr)
	}
	for range 2 {
		resp, err := tok.Transmit(t.Context(), []byte{0xAA}, apdu)
		if want := []byte{0xAA, 0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58, 0x90, 0x00}; err != nil || !bytes.Equal(resp, want) {
			t.Errorf("answer % X, %v, want % X", resp, err, want)
		}
		if _, err := tok.Reset(t.Context(), true); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(tok.Close(), tok.Close()); err != nil {
		t.Error(err)
	}
}

func TestEmptySlot(t *testing.T) {
	dev := ccidsim.New(ccidsim.TwoSlots, nil, cardsFor(ccidsim.TwoSlots)[1])
	r := simRoad(dev)
	all, err := r.find(t.Context())
	if err != nil || len(all) != 2 || all[0].Name == all[1].Name {
		t.Fatalf("find: %v, %v", all, err)
	}
	for i, want := range []error{ccid.ErrNoCard, nil} {
		tok, err := r.open(t.Context(), all[i], silent())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.PowerOn(t.Context()); !errors.Is(err, want) {
			t.Errorf("slot %d: %v, want %v", i, err, want)
		}
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := dev.OpenPipes(); n != 0 {
		t.Errorf("%d pipes left open", n)
	}
}

// TestSuperviseSoftwareReaders runs the supervisor over the real driver: every
// profile arrives, powered, an unplug ends it at once, and a replug brings it
// back.
func TestSuperviseSoftwareReaders(t *testing.T) {
	for _, p := range ccidsim.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := ccidsim.New(p, cardsFor(p)...)
				r := simRoad(dev)
				cfg := r.config(nil)
				b := newBus()
				b.reports = make(chan report, 8)
				info, _ := cfg.Source.Devices(t.Context())
				plugged := b.plug(info[0])
				cfg.Source = b
				s, err := Supervise(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				sub := s.Subscribe()
				ev := expect(t, sub, Arrived, 10*time.Second)
				for _, slot := range ev.Reader.CCID().Slots() {
					if slot.State() != ccid.CardReady {
						t.Errorf("slot %d is %v, want ready", slot.Index(), slot.State())
					}
				}
				if _, err := ev.Reader.CCID().Slots()[0].Transmit(t.Context(), nil, []byte{0x00, 0xCA, 0x01, 0x81, 0x08}); err != nil {
					t.Error(err)
				}
				dev.Unplug()
				b.unplug(plugged.info)
				b.say(Gone, plugged.info)
				if ev := expect(t, sub, Removed, 0); !errors.Is(ev.Err, usb.ErrGone) {
					t.Errorf("removed with %v", ev.Err)
				}
				if err := ev.Reader.CCID().Err(); !errors.Is(err, usb.ErrGone) {
					t.Errorf("the reader beneath says %v, want ErrGone", err)
				}
				dev.Replug()
				b.plug(plugged.info)
				b.say(Added, plugged.info)
				expect(t, sub, Arrived, 10*time.Second)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if n := dev.OpenPipes(); n != 0 {
					t.Errorf("%d pipes left open", n)
				}
			})
		})
	}
}

// mute is a card that does not answer to reset at all.
type mute struct{ *emu.Card }

func (mute) ATR() []byte { return nil }

// TestMuteCard: a token whose card stays mute has failed, a reader has not.
func TestMuteCard(t *testing.T) {
	for _, c := range []struct {
		profile ccidsim.Profile
		want    Kind
	}{
		{ccidsim.KAZTOKEN, Failed},
		{ccidsim.ExtendedAPDU, Arrived},
	} {
		t.Run(c.profile.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dev := ccidsim.New(c.profile, mute{emu.New()})
				s, err := simRoad(dev).follow(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				ev := expect(t, s.Subscribe(), c.want, 5*time.Minute)
				if c.want == Failed && !errors.Is(ev.Err, ccid.ErrMute) {
					t.Errorf("failed with %v, want ErrMute", ev.Err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if n := dev.OpenPipes(); n != 0 {
					t.Errorf("%d pipes left open", n)
				}
			})
		})
	}
}

func BenchmarkTransmit(b *testing.B) {
	tok, err := OpenToken(b.Context(), Options{Backend: "virtual", VirtualState: filepath.Join(b.TempDir(), "state")})
	if err != nil {
		b.Fatal(err)
	}
	defer tok.Close()
	if _, err := tok.PowerOn(b.Context()); err != nil {
		b.Fatal(err)
	}
	apdu := append([]byte{0x80, 0xEC, 0, 0, 64}, make([]byte, 65)...)
	resp := make([]byte, 0, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tok.Transmit(b.Context(), resp, apdu); err != nil {
			b.Fatal(err)
		}
	}
}
