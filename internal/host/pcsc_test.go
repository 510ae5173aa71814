//go:build !darwin || !cgo

package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge"
	"kaztoken/bridge/client"
	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/udev"
	"kaztoken/usb"
)

const kaztokenReader = "DigiFlow LLP. KAZTOKEN (32D18A58) 00 01"

var (
	getID  = []byte{0x00, 0xCA, 0x01, 0x81, 0x00}
	gotID  = []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58, 0x90, 0x00}
	logOut = []byte{0x80, 0x40, 0x00, 0x00}
)

func verifyPIN(pin string) []byte {
	return append([]byte{0x00, 0x20, 0x00, 0x02, byte(len(pin))}, pin...)
}

// serviceHere starts the double where clients look for the service.
func serviceHere(t *testing.T) *pcscsim.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "comm")
	t.Setenv(client.PathVariable, path)
	s, err := pcscsim.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// plugReader plugs a reader with a token into the double.
func plugReader(s *pcscsim.Service, name string) {
	s.Plug(pcscsim.Reader{
		Name: name, Card: emu.New(emu.WithATR(ccidsim.KAZTOKEN.ATR)),
		Attributes: map[wire.AttributeID][]byte{
			wire.AttrVendorName:       []byte("DigiFlow LLP.\x00"),
			wire.AttrVendorIFDVersion: {0, 0, 0x34, 0x12},
			wire.AttrChannelID:        {7, 1, 0x20, 0},
		},
		Control: map[wire.ControlCode][]byte{
			wire.CtlGetTLVProperties: {0x0A, 4, 0, 0, 1, 0, 0x0B, 2, 0x89, 0x0A, 0x0C, 2, 0x35, 0x00},
		},
	})
}

func openService(t *testing.T) *Token {
	t.Helper()
	tok, err := OpenToken(t.Context(), Options{Backend: "pcsc"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tok.Close() })
	return tok
}

func powered(t *testing.T) *Token {
	t.Helper()
	tok := openService(t)
	if _, err := tok.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestReaderCandidate(t *testing.T) {
	for _, c := range []struct {
		name, serial string
		slot         int
	}{
		{"DigiFlow LLP. KAZTOKEN 00 00", "", 0},
		{kaztokenReader, "32D18A58", 1},
		{"Aktiv Rutoken ECP [CCID Interface] (7) 1A 0B", "7", 11},
		{"Aktiv Rutoken ECP (old) [CCID] 00 00", "", 0},
		{"DigiFlow LLP. KAZTOKEN", "", 0}, // as macOS has it
	} {
		got := readerCandidate(client.Reader{Name: c.name}, 3)
		want := Candidate{Backend: "pcsc", Index: 3, Slot: c.slot, Name: c.name, Device: usb.Info{Serial: c.serial}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", c.name, got, want)
		}
	}
}

// rutokenATR is that of a Rutoken ECP.
var rutokenATR = []byte{0x3B, 0x8B, 0x01, 'R', 'u', 't', 'o', 'k', 'e', 'n', ' ', 'D', 'S', ' ', 0xC1}

func TestOfFamily(t *testing.T) {
	for _, c := range []struct {
		reader client.Reader
		want   string // which filters pass it
	}{
		{client.Reader{Name: kaztokenReader}, "kaztoken rutoken all"},
		{client.Reader{Name: "Virtual PCD 00 00", ATR: ccidsim.KAZTOKEN.ATR}, "kaztoken rutoken all"},
		{client.Reader{Name: "Aktiv Rutoken ECP 00 00"}, "rutoken all"},
		{client.Reader{Name: "Virtual PCD 00 00", ATR: rutokenATR}, "rutoken all"},
		{client.Reader{Name: kaztokenReader, State: wire.CardMute}, "kaztoken rutoken all"},
		{client.Reader{Name: "KAZTOKEN 00 00", State: wire.NoCard}, "all"},
		{client.Reader{Name: "Gemalto PC Twin Reader 00 00", ATR: []byte{0x3B, 0x00}}, "all"},
	} {
		var got []string
		for _, name := range FilterNames() {
			if ofFamily(name, c.reader) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v passes %v, want %s", c.reader, got, c.want)
		}
	}
}

func TestShows(t *testing.T) {
	dev := func(product, serial string) usb.Info { return usb.Info{ProductName: product, Serial: serial} }
	for _, c := range []struct {
		reader string
		dev    usb.Info
		want   bool
	}{
		{"DigiFlow LLP. KAZTOKEN 00 00", dev("KAZTOKEN", ""), true},
		{"DigiFlow LLP. Kaztoken (1) 00 00", dev("KAZTOKEN", ""), true},
		{kaztokenReader, dev("KAZTOKEN", "32d18a58"), true},
		{kaztokenReader, dev("KAZTOKEN", "32D18A59"), false},
		{"Aktiv Rutoken ECP 00 00", dev("KAZTOKEN", ""), false},
		{"Aktiv Rutoken ECP 00 00", dev("", ""), false},
	} {
		if got := shows([]client.Reader{{Name: "Other 00 00"}, {Name: c.reader}}, c.dev); got != c.want {
			t.Errorf("%q shows %q (%s): %v", c.reader, c.dev.ProductName, c.dev.Serial, got)
		}
	}
}

// TestServiceToken opens a token through a service and does with it what every
// road allows.
func TestServiceToken(t *testing.T) {
	s := serviceHere(t)
	s.Plug(pcscsim.Reader{Name: "Gemalto PC Twin Reader 00 00"})
	plugReader(s, kaztokenReader)
	ctx := t.Context()
	all, err := Find(ctx, Options{Backend: "pcsc"})
	if err != nil || len(all) != 1 || all[0].Name != kaztokenReader || all[0].Backend != "pcsc" {
		t.Fatalf("%+v, %v", all, err)
	}
	if all, err := Find(ctx, Options{Backend: "pcsc", Devices: "all"}); err != nil || len(all) != 2 || all[1].Index != 1 {
		t.Errorf("all: %+v, %v", all, err)
	}
	tok, err := OpenToken(ctx, Options{Backend: "pcsc", Token: "32D18A58"})
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	if _, err := tok.Transmit(ctx, nil, getID); !errors.Is(err, ccid.ErrCardReset) {
		t.Errorf("without power: %v, want ErrCardReset", err)
	}
	if atr := tok.ATR(); len(atr) != 0 || tok.Slot().Protocol != "" || tok.CCID() != nil || tok.Err() != nil {
		t.Errorf("without power: %+v, %v", tok.Slot(), tok.Err())
	}
	for range 2 { // the second time it is connected
		if atr, err := tok.PowerOn(ctx); err != nil || !bytes.Equal(atr.Bytes(), ccidsim.KAZTOKEN.ATR) {
			t.Fatalf("power on: % X, %v", atr.Bytes(), err)
		}
	}
	if got := tok.Slot(); got.Slot != 1 || got.State != "ready" || got.Protocol != "T=1" || !bytes.Equal(tok.ATR(), ccidsim.KAZTOKEN.ATR) {
		t.Errorf("slot %+v", got)
	}
	for _, cold := range []bool{true, false} {
		resp, err := tok.Transmit(ctx, []byte{0xAA}, getID)
		if err != nil || !bytes.Equal(resp, append([]byte{0xAA}, gotID...)) {
			t.Errorf("% X, %v", resp, err)
		}
		if _, err := tok.Reset(ctx, cold); err != nil {
			t.Error(err)
		}
	}
	want := usb.Info{Vendor: 0x0a89, Product: 0x0035, Release: 0x1234, Manufacturer: "DigiFlow LLP.", Serial: "32D18A58", Bus: 1, Addr: 7}
	if got := tok.Describe(ctx); !reflect.DeepEqual(got, want) {
		t.Errorf("described as %+v, want %+v", got, want)
	}
	if err := errors.Join(tok.Close(), tok.Close()); err != nil {
		t.Error(err)
	}
	if _, err := tok.Transmit(ctx, nil, getID); err == nil {
		t.Error("a closed token answers")
	}
	var how []wire.Disposition
	for _, said := range s.Said() {
		if said.Command == wire.CmdReconnect || said.Command == wire.CmdDisconnect {
			how = append(how, said.Disposition)
		}
	}
	if fmt.Sprint(how) != "[leave unpower reset leave]" {
		t.Errorf("what was done to the card: %v", how)
	}
}

// TestServiceShared: firmware takes turns with another program through what
// Channel gives, and finds the card that the other has reset.
func TestServiceShared(t *testing.T) {
	s := serviceHere(t)
	plugReader(s, kaztokenReader)
	ctx := t.Context()
	first, second := powered(t), powered(t)
	if _, ok := first.Channel().(firmware.Sharer); !ok {
		t.Fatal("the channel does not share the card")
	}
	f, err := firmware.Open(ctx, first.Channel(), firmware.WithATR(first.ATR()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Login(ctx, firmware.User, firmware.DefaultPIN(firmware.User)); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := firmware.Open(short, second.Channel()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside a log-in: %v", err)
	}
	if err := f.Logout(ctx); err != nil {
		t.Error(err)
	}
	if _, err := firmware.Open(ctx, second.Channel()); err != nil {
		t.Error(err)
	}
	s.Reset(kaztokenReader)
	if err := first.Channel().(firmware.Sharer).Begin(ctx); !errors.Is(err, firmware.ErrReset) || !strings.Contains(err.Error(), kaztokenReader) {
		t.Errorf("after a reset: %v", err)
	}
	if err := first.Channel().(firmware.Sharer).End(ctx); err != nil {
		t.Error(err)
	}
	s.Reset(kaztokenReader)
	if _, err := first.Transmit(ctx, nil, getID); !errors.Is(err, ccid.ErrCardReset) || first.Err() != nil {
		t.Errorf("after a reset: %v, %v", err, first.Err())
	}
	// The card that is ours alone takes no turns.
	usbRoad := simRoad(ccidsim.New(ccidsim.KAZTOKEN, cardsFor(ccidsim.KAZTOKEN)...))
	all, err := usbRoad.find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := usbRoad.open(ctx, all[0], silent())
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	if _, ok := direct.Channel().(firmware.Sharer); ok {
		t.Error("a token on USB is shared")
	}
}

// TestLoginEndsWithToken: whatever was logged in, nobody is when the token has
// been let go; a card that nobody is logged in to is left alone.
func TestLoginEndsWithToken(t *testing.T) {
	for _, c := range []struct {
		name  string
		apdus [][]byte
		fail  bool // the last has no answer
		want  wire.Disposition
	}{
		{"nothing", [][]byte{getID}, false, wire.LeaveCard},
		{"logged in", [][]byte{verifyPIN("12345678"), getID}, false, wire.ResetCard},
		{"wrong PIN", [][]byte{verifyPIN("00000000")}, false, wire.LeaveCard},
		{"wrong PIN after a right one", [][]byte{verifyPIN("12345678"), verifyPIN("00000000")}, false, wire.ResetCard},
		{"tries asked for", [][]byte{{0x00, 0x20, 0x00, 0x02}}, false, wire.LeaveCard},
		{"logged out", [][]byte{verifyPIN("12345678"), logOut}, false, wire.LeaveCard},
		{"not known", [][]byte{verifyPIN("12345678")}, true, wire.ResetCard},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serviceHere(t)
			plugReader(s, kaztokenReader)
			tok := powered(t)
			for i, apdu := range c.apdus {
				if c.fail && i == len(c.apdus)-1 {
					s.Fail(wire.CmdTransmit, wire.NotTransacted)
				}
				if _, err := tok.Transmit(t.Context(), nil, apdu); (err != nil) != (c.fail && i == len(c.apdus)-1) {
					t.Fatal(err)
				}
			}
			if err := tok.Close(); err != nil {
				t.Error(err)
			}
			said := s.Said()
			for len(said) > 0 && said[len(said)-1].Command != wire.CmdDisconnect {
				said = said[:len(said)-1]
			}
			if len(said) == 0 || said[len(said)-1].Disposition != c.want {
				t.Errorf("let go with %v, want %v", said, c.want)
			}
			// Another program finds nobody logged in, and all tries.
			resp, err := powered(t).Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, 0x02})
			if err != nil || len(resp) != 2 || resp[0] != 0x63 {
				t.Errorf("the PIN: % X, %v", resp, err)
			}
		})
	}
}

// TestServiceErrors: what goes wrong at a service is what it is on USB, and says
// what can be done.
func TestServiceErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(*pcscsim.Service)
		is      error
		hint    string
		lost    bool // nothing can be reached any more
	}{
		{"another program has it", func(s *pcscsim.Service) { s.Hold(kaztokenReader, true) }, usb.ErrBusy, "gpgconf", false},
		{"no card", func(s *pcscsim.Service) { s.Insert(kaztokenReader, nil) }, ccid.ErrNoCard, "put a card", false},
		{"mute card", func(s *pcscsim.Service) { s.Insert(kaztokenReader, mute{emu.New()}) }, ccid.ErrMute, "right way round", false},
		{"unplugged", func(s *pcscsim.Service) { s.Unplug(kaztokenReader) }, usb.ErrGone, "plug the token in again", true},
		{"wrong protocol", func(s *pcscsim.Service) { s.Fail(wire.CmdConnect, wire.ProtoMismatch) }, ccid.ErrProtocolMismatch, "", false},
		{"denied", func(s *pcscsim.Service) { s.Fail(wire.CmdConnect, wire.SecurityViolation) }, usb.ErrAccess, "administrator", false},
		{"out of memory", func(s *pcscsim.Service) { s.Fail(wire.CmdConnect, wire.NoMemory) }, ErrService, "restart", false},
		{"ended", func(s *pcscsim.Service) { s.Close() }, ErrService, "restart", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serviceHere(t)
			plugReader(s, kaztokenReader)
			tok := openService(t)
			c.prepare(s)
			_, err := tok.PowerOn(t.Context())
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), kaztokenReader) {
				t.Errorf("%v, want %v", err, c.is)
			}
			if got := Hint(err); c.hint != "" && !strings.Contains(got, c.hint) || c.hint == "" && got != "" {
				t.Errorf("hint %q, want %q", got, c.hint)
			}
			if (tok.Err() != nil) != c.lost {
				t.Errorf("lost: %v, want %v", tok.Err(), c.lost)
			}
			if err := tok.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Run("no service", func(t *testing.T) {
		t.Setenv(client.PathVariable, filepath.Join(t.TempDir(), "comm"))
		_, err := OpenToken(t.Context(), Options{Backend: "pcsc"})
		if !errors.Is(err, ErrService) || !strings.Contains(Hint(err), "kaztoken serve") || !strings.Contains(Hint(err), "--backend usb") {
			t.Errorf("%v, hint %q", err, Hint(err))
		}
	})
	t.Run("turned away", func(t *testing.T) {
		s := serviceHere(t)
		s.Refuse(true)
		if _, err := Find(t.Context(), Options{Backend: "pcsc"}); !errors.Is(err, usb.ErrAccess) || Hint(err) == "" {
			t.Errorf("%v, hint %q", err, Hint(err))
		}
	})
	t.Run("no token", func(t *testing.T) {
		s := serviceHere(t)
		s.Plug(pcscsim.Reader{Name: "Gemalto PC Twin Reader 00 00"})
		_, err := OpenToken(t.Context(), Options{Backend: "pcsc"})
		if !errors.Is(err, ErrNoToken) || !strings.Contains(Hint(err), "Gemalto") {
			t.Errorf("%v, hint %q", err, Hint(err))
		}
	})
	t.Run("at work", func(t *testing.T) {
		s := serviceHere(t)
		plugReader(s, kaztokenReader)
		tok := powered(t)
		s.Fail(wire.CmdTransmit, wire.NotTransacted)
		if _, err := tok.Transmit(t.Context(), nil, getID); !errors.Is(err, ccid.ErrProtocol) || !errors.Is(err, ccid.ErrOutcomeUnknown) {
			t.Errorf("%v, want ErrProtocol and ErrOutcomeUnknown", err)
		}
		s.Unplug(kaztokenReader)
		if _, err := tok.Transmit(t.Context(), nil, getID); !errors.Is(err, usb.ErrGone) || tok.Err() == nil {
			t.Errorf("%v, %v", err, tok.Err())
		}
	})
}

// TestServiceDone: a token that is pulled out, or loses its service, tells so
// without being asked.
func TestServiceDone(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*pcscsim.Service)
		is   error
	}{
		{"unplugged", func(s *pcscsim.Service) { s.Unplug(kaztokenReader) }, usb.ErrGone},
		{"service ended", func(s *pcscsim.Service) { s.Close() }, ErrService},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serviceHere(t)
			plugReader(s, kaztokenReader)
			tok := powered(t)
			done := tok.Done()
			select {
			case <-done:
				t.Fatal("done before the end")
			default:
			}
			c.end(s)
			<-done
			if err := tok.Err(); !errors.Is(err, c.is) {
				t.Errorf("%v, want %v", err, c.is)
			}
			if err := tok.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	s := serviceHere(t)
	plugReader(s, kaztokenReader)
	tok := powered(t)
	done := tok.Done()
	if err := tok.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// busyCard is a card that another program uses all the time: only who waits for a
// turn gets to know anything.
type busyCard struct {
	smartcard
	turn   bool
	failed error // of Status
}

func (c *busyCard) Begin(context.Context) error { c.turn = true; return firmware.ErrReset }
func (c *busyCard) End(context.Context) error   { c.turn = false; return nil }

func (c *busyCard) Status(context.Context) (client.Status, error) {
	if !c.turn {
		return client.Status{}, client.Failed("status", wire.SharingViolation)
	}
	return client.Status{ATR: ccidsim.KAZTOKEN.ATR}, c.failed
}

// TestPowerOnBusyCard: a token is opened beside a program that gives it no rest.
func TestPowerOnBusyCard(t *testing.T) {
	for _, failed := range []error{nil, client.Failed("status", wire.ServiceStopped)} {
		card := &busyCard{failed: failed}
		s := newServiceSlot(Candidate{Name: kaztokenReader}, nil, newServiceRoad("").explainFor(kaztokenReader), silent().WithField("test", true))
		atr, err := s.look(t.Context(), card)
		if failed == nil && (err != nil || !bytes.Equal(atr.Bytes(), ccidsim.KAZTOKEN.ATR)) || failed != nil && !errors.Is(err, ErrService) {
			t.Errorf("ATR % X, %v", atr.Bytes(), err)
		}
		if card.turn {
			t.Error("the card is kept")
		}
		if lost := s.Err() != nil; lost != (failed != nil) {
			t.Errorf("after %v: lost: %v", failed, lost)
		}
	}
}

// fakeService is a service in process, for tests with a clock of their own.
type fakeService struct {
	readers func(context.Context) ([]client.Reader, error)
	wait    func(context.Context) error
}

func (f *fakeService) Readers(ctx context.Context) ([]client.Reader, error) { return f.readers(ctx) }

func (f *fakeService) Wait(ctx context.Context, _ []client.Reader) ([]client.Reader, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return f.readers(ctx)
}

func (f *fakeService) connect(context.Context, string) (smartcard, error) {
	return nil, &client.Error{Op: "connect", Code: wire.UnknownReader}
}

func (f *fakeService) Close() error { return nil }

// TestSilentService: a service that does not answer holds nobody for long.
func TestSilentService(t *testing.T) {
	silence := func(ctx context.Context) error {
		<-ctx.Done()
		return client.Failed("connect", ctx.Err())
	}
	for _, c := range []struct {
		name string
		dial func(context.Context) (smartcards, error)
	}{
		{"to the connection", func(ctx context.Context) (smartcards, error) { return nil, silence(ctx) }},
		{"to the question", func(context.Context) (smartcards, error) {
			return &fakeService{readers: func(ctx context.Context) ([]client.Reader, error) { return nil, silence(ctx) }}, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newServiceRoad("")
				r.dial = c.dial
				began := time.Now()
				_, err := r.find(t.Context())
				if !errors.Is(err, ErrService) || !strings.Contains(Hint(err), "restart") || time.Since(began) != serviceAnswer {
					t.Errorf("%v, hint %q after %v", err, Hint(err), time.Since(began))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := r.find(ctx); errors.Is(err, ErrService) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the caller's own bound: %v", err)
				}
			})
		})
	}
}

// TestCardHolders: our own service tells who has a card for itself; beside
// another one GnuPG is looked for.
func TestCardHolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "comm")
	t.Setenv(client.PathVariable, path)
	l, err := net.Listen("unix", statusPath(path))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	holder := func(pid int, program string) bridge.Holder { return bridge.Holder{PID: pid, Program: program} }
	report := Report{Snapshot: bridge.Snapshot{Readers: []bridge.ReaderStatus{
		{Name: "Other 00 00", Handles: []bridge.HandleStatus{{Holder: holder(1, "x"), Share: "exclusive"}}},
		{Name: kaztokenReader, Lock: &bridge.Holder{PID: 812, Program: "firefox"}, Handles: []bridge.HandleStatus{
			{Holder: holder(812, "firefox"), Share: "exclusive"}, {Holder: holder(900, "viewer"), Share: "shared"}, {Holder: holder(0, ""), Share: "exclusive"},
		}},
	}}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			json.NewEncoder(c).Encode(report)
			c.Close()
		}
	}()
	if got := cardHolders(kaztokenReader); len(got) != 1 || got[0] != (udev.Holder{PID: 812, Name: "firefox"}) {
		t.Errorf("%v, want firefox", got)
	}

	proc := fstest.MapFS{
		"812/comm":  {Data: []byte("scdaemon\n")},
		"813/comm":  {Data: []byte("bash\n")},
		"self/comm": {Data: []byte("scdaemon\n")},
		"814":       {Mode: fs.ModeDir},
	}
	if got := running(proc, scdaemon); len(got) != 1 || got[0].PID != 812 {
		t.Errorf("%v, want scdaemon (pid 812)", got)
	}

	busy := &client.Error{Op: "connect", Code: wire.SharingViolation}
	for _, c := range []struct {
		holders    []udev.Holder
		text, hint string
	}{
		{nil, "in use", "gpgconf --kill scdaemon"},
		{[]udev.Holder{{PID: 812, Name: "scdaemon"}}, "held by scdaemon (pid 812)", "stop it: gpgconf"},
		{[]udev.Holder{{PID: 812, Name: "firefox"}, {PID: 9, Name: "x"}}, "held by firefox (pid 812), x (pid 9)", "end that program"},
	} {
		err := explainService(busy, func() []udev.Holder { return c.holders })
		if !errors.Is(err, usb.ErrBusy) || !errors.Is(err, wire.SharingViolation) || !strings.Contains(err.Error(), c.text) || !strings.Contains(Hint(err), c.hint) {
			t.Errorf("%v, hint %q; want %q, %q", err, Hint(err), c.text, c.hint)
		}
	}
}

// TestNoPINInServiceLogs: no body of a command is in the log of this road.
func TestNoPINInServiceLogs(t *testing.T) {
	s := serviceHere(t)
	plugReader(s, kaztokenReader)
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetLevel(logrus.TraceLevel)
	tok, err := OpenToken(t.Context(), Options{Backend: "pcsc", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Transmit(t.Context(), nil, verifyPIN("24681357")); err != nil {
		t.Fatal(err)
	}
	if err := tok.Close(); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "ins=20") {
		t.Error("the exchange was not logged at all")
	}
	for _, form := range []string{"%s", "%X", "%x", "% X", "% x", "%d"} {
		if pin := strings.Trim(fmt.Sprintf(form, []byte("2468")), "[]"); strings.Contains(text, pin) {
			t.Errorf("the log shows %q", pin)
		}
	}
}
