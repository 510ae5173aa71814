//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/wire"
)

// TestRefusals: a code of the service becomes an error with it, the connection
// goes on, and Sent says whether the card may have seen the command.
func TestRefusals(t *testing.T) {
	transmit := func(ctx context.Context, c *Card) error {
		dst, err := c.Transmit(ctx, []byte{1}, unhex("00a4040000"))
		if len(dst) != 1 {
			t.Errorf("transmit gives % x back", dst)
		}
		return err
	}
	refused := `
		< 364beb49 01000000 10000000 05000000 03000000 10000000 00000000 `
	for _, c := range []struct {
		name   string
		script string
		do     func(context.Context, *Card) error
		code   wire.Result
		sent   bool
	}{
		{"transmit after a reset", selectMF + refused + "68001080", transmit, wire.CardReset, false},
		{"transmit after a removal", selectMF + refused + "69001080", transmit, wire.CardRemoved, false},
		{"transmit in a wrong protocol", selectMF + refused + "0f001080", transmit, wire.ProtoMismatch, false},
		{"transmit in vain", selectMF + refused + "16001080", transmit, wire.NotTransacted, true},
		{"transmit at the unplug", selectMF + refused + "17001080", transmit, wire.ReaderUnavailable, true},
		{"transmit with a code unknown", selectMF + refused + "99990000", transmit, 0x9999, true},
		{"control", `
			> 18000000 0a000000  364beb49 01000042 02000000 0c000100 00000000 00000000  0102
			< 364beb49 01000042 02000000 0c000100 00000000 1f001080`,
			func(ctx context.Context, c *Card) error {
				_, err := c.Control(ctx, nil, wire.CtlEscape, []byte{1, 2})
				return err
			}, wire.UnsupportedFeature, false},
		{"attribute", `
			> 18010000 0f000000 364beb49 00010100` + zeros(264) + `08010000 1d001080
			< 364beb49 00010100` + zeros(264) + `08010000 1f001080`,
			func(ctx context.Context, c *Card) error {
				_, err := c.Attribute(ctx, wire.AttrVendorName)
				return err
			}, wire.UnsupportedFeature, false},
		{"end without begin", end + `
			< 364beb49 00000000 16001080`,
			func(ctx context.Context, c *Card) error { return c.End(ctx) }, wire.NotTransacted, false},
		{"begin without a card", begin + `
			< 364beb49 69001080`,
			func(ctx context.Context, c *Card) error { return c.Begin(ctx) }, wire.CardRemoved, false},
		{"disconnect", `
			> 0c000000 06000000 364beb49 09000000 00000000
			< 364beb49 09000000 11001080`,
			func(ctx context.Context, c *Card) error { return c.Disconnect(ctx, 9) }, wire.InvalidValue, false},
		{"status of a reader that is gone", array46(free),
			func(ctx context.Context, c *Card) error { _, err := c.Status(ctx); return err }, wire.ReaderUnavailable, false},
		{"reconnect", reconnect + `
			< 364beb49 02000000 03000000 00000000 00000000 0c001080`,
			func(ctx context.Context, c *Card) error {
				return c.Reconnect(ctx, wire.ShareShared, 3, wire.LeaveCard)
			}, wire.NoSmartcard, false},
		{"connect", `
			> 98000000 04000000  47216956` + nameHex + `01000000 02000000 00000000 00000000 00000000
			< 47216956` + nameHex + `01000000 02000000 00000000 00000000 0b001080`,
			func(ctx context.Context, c *Card) error {
				_, err := c.ctx.Connect(ctx, readerName, wire.ShareExclusive, wire.ProtocolT1)
				return err
			}, wire.SharingViolation, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := shared(t, dialed(t, listen(t, greeting46+connect+c.script+release)))
			err := c.do(t.Context(), card)
			want(t, err, c.code, nil)
			var e *Error
			if errors.As(err, &e) && e.Sent != c.sent {
				t.Errorf("%v: sent %v, want %v", err, e.Sent, c.sent)
			}
			if errors.Is(err, ErrAnswer) || errors.Is(err, wire.Success) {
				t.Errorf("%v is more than it should be", err)
			}
		})
	}
}

// TestMalformed: an answer that makes no sense ends the connection, and every
// later call with it.
func TestMalformed(t *testing.T) {
	connectAsk := strings.Split(connect, "<")[0]
	transmit := func(ctx context.Context, c *Card) error {
		_, err := c.Transmit(ctx, nil, unhex("00a4040000"))
		return err
	}
	readers := func(ctx context.Context, c *Card) error {
		_, err := c.ctx.Readers(ctx)
		return err
	}
	attribute := func(ctx context.Context, c *Card) error {
		_, err := c.Attribute(ctx, wire.AttrATRString)
		return err
	}
	control := func(ctx context.Context, c *Card) error {
		_, err := c.Control(ctx, nil, wire.CtlGetFeatureRequest, nil)
		return err
	}
	again := func(ctx context.Context, c *Card) error {
		_, err := c.ctx.Connect(ctx, readerName, wire.ShareShared, 3)
		return err
	}
	const (
		askAttribute = `
			> 18010000 0f000000 364beb49 03030900`
		askControl = `
			> 18000000 0a000000  364beb49 480d0042 00000000 0c000100 00000000 00000000
			< `
		askSize = `
			> 00000000 16000000
			< `
	)
	for _, c := range []struct {
		name   string
		script string
		do     func(context.Context, *Card) error
		cause  error
	}{
		{"transmit: another handle", selectMF + `
			< 374beb49 01000000 10000000 05000000 03000000 10000000 02000000 00000000`, transmit, ErrAnswer},
		{"transmit: no status word", selectMF + `
			< 364beb49 01000000 10000000 05000000 03000000 10000000 01000000 00000000`, transmit, ErrAnswer},
		{"transmit: more than there is room for", selectMF + `
			< 364beb49 01000000 10000000 05000000 03000000 10000000 0d000100 00000000`, transmit, ErrAnswer},
		{"transmit: 4 GB", selectMF + `
			< 364beb49 01000000 10000000 05000000 03000000 10000000 ffffffff 00000000`, transmit, ErrAnswer},
		{"transmit: half an answer", selectMF + `
			< 364beb49 01000000 10000000`, transmit, io.ErrUnexpectedEOF},
		{"transmit: half a response", selectMF + `
			< 364beb49 01000000 10000000 05000000 03000000 10000000 02000000 00000000  90`, transmit, io.ErrUnexpectedEOF},
		{"transmit: no answer", selectMF, transmit, io.EOF},
		{"array: none", askSize + "00000000", readers, ErrAnswer},
		{"array: fewer than none", askSize + "ffffffff", readers, ErrAnswer},
		{"array: too many", askSize + "01100000", readers, ErrAnswer},
		{"control: too long", askControl + "364beb49 480d0042 00000000 0c000100 0d000100 00000000", control, ErrAnswer},
		{"attribute: too long", askAttribute + zeros(264) + `08010000 1d001080
			< 364beb49 03030900` + zeros(264) + "09010000 00000000", attribute, ErrAnswer},
		{"attribute: another one", askAttribute + zeros(264) + `08010000 1d001080
			< 364beb49 04030900` + zeros(264) + "00000000 00000000", attribute, ErrAnswer},
		{"connect: another context", connectAsk + `
			< 48216956` + nameHex + "02000000 03000000 364beb49 01000000 00000000", again, ErrAnswer},
		{"connect: another reader", connectAsk + `
			< 47216956` + zeros(128) + "02000000 03000000 364beb49 01000000 00000000", again, ErrAnswer},
		{"connect: no handle", connectAsk + `
			< 47216956` + nameHex + "02000000 03000000 00000000 01000000 00000000", again, ErrAnswer},
		{"connect: two protocols", connectAsk + `
			< 47216956` + nameHex + "02000000 03000000 364beb49 03000000 00000000", again, ErrAnswer},
		{"connect: no protocol", connectAsk + `
			< 47216956` + nameHex + "02000000 03000000 364beb49 00000000 00000000", again, ErrAnswer},
		{"reconnect: no protocol", reconnect + `
			< 364beb49 02000000 03000000 00000000 00000000 00000000`,
			func(ctx context.Context, c *Card) error { return c.Reconnect(ctx, wire.ShareShared, 3, wire.LeaveCard) }, ErrAnswer},
		{"begin: another handle", begin + `
			< 374beb49 00000000`, func(ctx context.Context, c *Card) error { return c.Begin(ctx) }, ErrAnswer},
		{"disconnect: another handle", `
			> 0c000000 06000000 364beb49 00000000 00000000
			< 374beb49 00000000 00000000`,
			func(ctx context.Context, c *Card) error { return c.Disconnect(ctx, wire.LeaveCard) }, ErrAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := shared(t, dialed(t, listen(t, greeting46+connect+c.script+"!")))
			want(t, c.do(t.Context(), card), wire.CommError, c.cause)
			_, err := card.ctx.Readers(t.Context())
			want(t, err, wire.CommError, c.cause)
		})
	}
}

// TestDial: what may go wrong before there is a Context.
func TestDial(t *testing.T) {
	offer := strings.Split(version46, "<")[0]
	for _, c := range []struct {
		name   string
		script string
		code   wire.Result
		cause  error
		text   string
	}{
		{"older than 4:4", offer + "\n< 04000000 03000000 1e001080", wire.ServiceStopped, nil, "4:3"},
		{"of another age", offer + "\n< 05000000 00000000 1e001080", wire.ServiceStopped, nil, "5:0"},
		{"refuses what it has", offer + "\n< 04000000 06000000 1e001080", wire.ServiceStopped, nil, "4:6"},
		{"accepts what is too old", offer + "\n< 04000000 03000000 00000000", wire.ServiceStopped, nil, "4:3"},
		{"refuses twice", offer + "\n< 04000000 05000000 1e001080" + `
			> 0c000000 11000000 04000000 05000000 00000000
			< 04000000 04000000 1e001080`, wire.ServiceStopped, nil, "4:4"},
		{"another code", offer + "\n< 04000000 06000000 01001080", wire.InternalError, nil, ""},
		{"no answer", offer + "!", wire.CommError, io.EOF, ""},
		{"no context", version46 + `
			> 0c000000 01000000  02000000 00000000 00000000
			< 02000000 00000000 06001080`, wire.NoMemory, nil, ""},
		{"context 0", version46 + `
			> 0c000000 01000000  02000000 00000000 00000000
			< 02000000 00000000 00000000`, wire.CommError, ErrAnswer, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, c.script)
			_, err := Dial(t.Context(), s.path)
			if c.code == wire.ServiceStopped {
				var e *Error
				if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(err.Error(), "speaks protocol "+c.text) {
					t.Errorf("%v, want %v", err, c.code)
				}
			} else {
				want(t, err, c.code, c.cause)
			}
			if err == nil || !strings.Contains(err.Error(), s.path) {
				t.Errorf("error %v does not name the socket", err)
			}
		})
	}
	t.Run("newer", func(t *testing.T) {
		// A service that only knows its own number, and speaks to an older client.
		s := listen(t, offer+"\n< 04000000 09000000 00000000"+establish+release)
		if v := dialed(t, s).Version(); v.Minor != wire.MaxMinor {
			t.Errorf("protocol %v, want 4:%d", v, wire.MaxMinor)
		}
	})
	t.Run("4:5", func(t *testing.T) {
		s := listen(t, offer+`
			< 04000000 05000000 1e001080
			> 0c000000 11000000 04000000 05000000 00000000
			< 04000000 05000000 00000000`+establish+array44(record)+release)
		c := dialed(t, s)
		if all, err := c.Readers(t.Context()); err != nil || len(all) != 1 || c.Version().Minor != 5 {
			t.Errorf("%v, %v in protocol %v", all, err, c.Version())
		}
	})
	t.Run("no socket", func(t *testing.T) {
		_, err := Dial(t.Context(), filepath.Join(t.TempDir(), "comm"))
		want(t, err, wire.NoService, fs.ErrNotExist)
	})
	t.Run("nobody listens", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "comm")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		_, err = Dial(t.Context(), path)
		want(t, err, wire.NoService, syscall.ECONNREFUSED)
	})
}

// TestTurnedAway: a service that does not let the user in closes the connection
// unread, before or after the client has spoken.
func TestTurnedAway(t *testing.T) {
	for _, early := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "comm")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cause := syscall.EPIPE
		if early {
			theirs.Close()
		} else {
			cause = syscall.ECONNRESET
			ours = afterWrite{ours, func() { theirs.Close() }}
		}
		_, err = greet(t.Context(), ours)
		want(t, Failed("connect", err), wire.SecurityViolation, cause)
		l.Close()
	}
}

// afterWrite does something when the first message has been sent.
type afterWrite struct {
	net.Conn
	then func()
}

func (c afterWrite) Write(b []byte) (int, error) {
	defer c.then()
	return c.Conn.Write(b)
}

// TestQueueFull: a service that lets one connection wait is asked until it has
// taken the ones before, or until the caller has enough.
func TestQueueFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "comm")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	// The first fills the queue, and is not answered either.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	failures := make(chan error)
	for range 3 {
		go func() {
			_, err := Dial(ctx, path)
			failures <- err
		}()
	}
	for range 3 {
		want(t, <-failures, wire.Timeout, context.DeadlineExceeded)
	}
}

func TestPath(t *testing.T) {
	t.Setenv(PathVariable, "")
	if got := Path(); got != "/run/pcscd/pcscd.comm" {
		t.Errorf("default %q", got)
	}
	t.Setenv(PathVariable, "/tmp/other")
	if got := Path(); got != "/tmp/other" {
		t.Errorf("with the variable %q", got)
	}
}

// TestArguments: what no message can carry is refused here.
func TestArguments(t *testing.T) {
	card := shared(t, dialed(t, listen(t, greeting46+connect+release)))
	ctx := t.Context()
	_, err := card.ctx.Connect(ctx, strings.Repeat("x", 128), wire.ShareShared, 3)
	want(t, err, wire.InvalidParameter, wire.ErrMessage)
	for _, n := range []int{0, 65549} {
		if _, err := card.Transmit(ctx, nil, make([]byte, n)); !errors.Is(err, wire.InvalidParameter) {
			t.Errorf("APDU of %d bytes: %v", n, err)
		}
	}
	if _, err := card.Control(ctx, nil, wire.CtlEscape, make([]byte, 65549)); !errors.Is(err, wire.InvalidParameter) {
		t.Errorf("long control: %v", err)
	}
}

// TestPatience: a card that another program has is waited for: with the
// library's pause, up to a limit, until the caller has enough.
func TestPatience(t *testing.T) {
	const locked = `
		< 364beb49 0b001080`
	for _, c := range []struct {
		name  string
		times int           // refusals
		limit time.Duration // of the caller
		code  wire.Result   // of the error, Success for none
		cause error
		took  time.Duration
	}{
		{"free soon", 3, time.Hour, wire.Success, nil, 300 * time.Millisecond},
		{"never free", 301, time.Hour, wire.SharingViolation, nil, 30 * time.Second},
		{"no time", 3, 250 * time.Millisecond, wire.Timeout, context.DeadlineExceeded, 250 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := greeting46 + connect + strings.Repeat(begin+locked, c.times)
				if c.code == wire.Success {
					script += begin + `
						< 364beb49 00000000`
				}
				s := newService(t, script+release)
				x := dialed(t, s)
				card := shared(t, x)
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				began := time.Now()
				err := card.Begin(ctx)
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if c.code != wire.Success {
					want(t, err, c.code, c.cause)
				} else if err != nil {
					t.Error(err)
				}
				x.Close()
				s.finish()
			})
		})
	}
}

// TestTransmitWaits: an APDU that meets another program's transaction goes
// through after it.
func TestTransmitWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, greeting46+connect+selectMF+`
			< 364beb49 01000000 10000000 05000000 03000000 10000000 00000000 0b001080`+selectMF+selected+release)
		x := dialed(t, s)
		resp, err := shared(t, x).Transmit(t.Context(), nil, unhex("00a4040000"))
		if err != nil || hexOf(resp) != "9000" {
			t.Errorf("% x, %v", resp, err)
		}
		x.Close()
		s.finish()
	})
}
