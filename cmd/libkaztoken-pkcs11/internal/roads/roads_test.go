package roads

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"kaztoken/bridge/client"
	"kaztoken/bridge/pkcs11"
	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// serve starts a service with a virtual token where clients look for it; stop ends
// it.
func serve(t testing.TB) (stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kaz") // a socket's name has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	t.Setenv(client.PathVariable, socket)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	s, err := host.OpenService(t.Context(), host.ServiceOptions{Virtual: true, Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, s.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

var verify = []byte{0x00, 0x20, 0x00, 0x02, 8, '1', '2', '3', '4', '5', '6', '7', '8'}

func open(t *testing.T, s pkcs11.Source) pkcs11.Connection {
	t.Helper()
	readers, err := s.Readers(t.Context())
	if err != nil || len(readers) != 1 {
		t.Fatalf("readers: %v, %v", readers, err)
	}
	c, err := readers[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func transmit(t *testing.T, c pkcs11.Connection, apdu []byte) []byte {
	t.Helper()
	resp, err := c.Card().Transmit(t.Context(), nil, apdu)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestSource finds a token, opens it and sees it go.
func TestSource(t *testing.T) {
	stop := serve(t)
	s := New(host.Options{Backend: "pcsc"})
	c := open(t, s)
	if _, shared := c.Card().(firmware.Sharer); !shared {
		t.Error("a card behind a service is not shared")
	}
	if !bytes.Contains(c.ATR(), []byte("KAZTOKEN")) {
		t.Errorf("ATR % X", c.ATR())
	}
	known, err := s.Readers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context(), nil); err != nil { // there is one by now
		t.Error(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- s.Wait(t.Context(), known) }()
	done := c.Done()
	stop()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	<-done
	if _, err := known[0].Open(t.Context()); !errors.Is(err, pkcs11.ErrTokenNotPresent) {
		t.Errorf("opened what is gone: %v", err)
	}
	if readers, err := s.Readers(t.Context()); err == nil && len(readers) != 0 {
		t.Errorf("readers without a service: %v", readers)
	}
}

// TestLastOneLogsOut has three programs logged in: who leaves before the last one
// changes nothing on the card, not even by closing.
func TestLastOneLogsOut(t *testing.T) {
	serve(t)
	s := New(host.Options{Backend: "pcsc"})
	var all []pkcs11.Connection
	for range 3 {
		c := open(t, s)
		if err := c.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if resp := transmit(t, all[0], verify); resp[0] != 0x90 {
		t.Fatalf("VERIFY: % X", resp)
	}
	query := verify[:4]
	for i, c := range all {
		calls := 0
		if err := c.Leave(func() error { calls++; return nil }); err != nil {
			t.Error(err)
		}
		last := i == len(all)-1
		if want := map[bool]int{false: 0, true: 1}[last]; calls != want {
			t.Errorf("program %d of %d: logged out %d times, want %d", i, len(all), calls, want)
		}
		if last {
			break
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if resp := transmit(t, all[2], query); resp[0] != 0x90 {
			t.Errorf("after program %d has left, the card says % X: nobody is logged in", i, resp)
		}
	}
	// Without a seat each one is the last.
	failure := errors.New("no card")
	if err := all[2].Leave(func() error { return failure }); err != failure {
		t.Errorf("the log-out's error: %v", err)
	}
}

// TestJoinWaits for the log-out of the last one.
func TestJoinWaits(t *testing.T) {
	serve(t)
	s := New(host.Options{Backend: "pcsc"})
	a, b := open(t, s), open(t, s)
	if err := a.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	joined, out := make(chan error, 1), false
	err := a.Leave(func() error {
		go func() { joined <- b.Join(t.Context()) }()
		select {
		case err := <-joined:
			t.Errorf("joined during the log-out: %v", err)
		default:
		}
		out = true
		return nil
	})
	if err != nil || !out {
		t.Fatal(err)
	}
	if err := <-joined; err != nil {
		t.Error(err)
	}
}

// TestSeatsDir does not trust a folder that others could have made.
func TestSeatsDir(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir, err := seatsDir()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := seatsDir(); err != nil || again != dir {
		t.Errorf("again: %q, %v, want %q", again, err, dir)
	}
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := seatsDir(); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a folder that a group may write to: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tmp, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := seatsDir(); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a link: %v", err)
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		err  error
		want pkcs11.Rv
	}{
		{usb.ErrGone, pkcs11.ErrDeviceRemoved},
		{ccid.ErrNoCard, pkcs11.ErrDeviceRemoved},
		{host.ErrNoToken, pkcs11.ErrTokenNotPresent},
		{usb.ErrBusy, pkcs11.ErrDeviceError},
		{usb.ErrAccess, pkcs11.ErrDeviceError},
		{errors.New("anything"), pkcs11.ErrDeviceError},
	} {
		wrapped := fmt.Errorf("open: %w", c.err)
		if got := translate(wrapped); !errors.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	for _, err := range []error{nil, firmware.ErrReset, context.Canceled} {
		if got := translate(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// TestOverUSB drives a token in software through the whole driver, with nobody in
// between: a session has the token to itself, and gives it back.
func TestOverUSB(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	start := func() *pkcs11.Module {
		m := pkcs11.New(New(host.Options{Backend: "virtual", VirtualState: state}), [2]byte{})
		if err := m.Initialize(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Finalize(); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	a, b := start(), start()
	if ids, err := a.GetSlotList(true); err != nil || len(ids) != 1 {
		t.Fatalf("slots: %v, %v", ids, err)
	}
	h, err := a.OpenSession(0, pkcs11.SessionSerial|pkcs11.SessionRW)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Login(h, pkcs11.UserNormal, []byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.OpenSession(0, pkcs11.SessionSerial); !errors.Is(err, pkcs11.ErrDeviceError) {
		t.Errorf("a second program: %v", err)
	}
	if err := a.GenerateRandom(h, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	if err := a.CloseSession(h); err != nil {
		t.Error(err)
	}
	h, err = b.OpenSession(0, pkcs11.SessionSerial)
	if err != nil {
		t.Fatalf("after the first one's last session: %v", err)
	}
	info, err := b.GetSessionInfo(h)
	if err != nil || info.State != pkcs11.StateROPublic {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := b.WaitForSlotEvent(true); !errors.Is(err, pkcs11.ErrNoEvent) {
		t.Errorf("events of a token in software: %v", err)
	}
}
