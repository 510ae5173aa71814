//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kaztoken/bridge/wire"
)

// The bytes of scripts are those that pcsc-lite's own library and daemon were
// seen to exchange on a little-endian machine of 64 bits.

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func zeros(n int) string { return strings.Repeat("00", n) }

const (
	readerName = "KAZ Test [CCID] (1234) 00 00"
	handle     = wire.Handle(0x49EB4B36)
)

// Pieces of dialogues: > is what the client says, < the service; a line without
// either goes on. At a dot the service waits until the test opens the gate.
var (
	nameHex = "4b415a20 54657374 205b4343 49445d20 28313233 34292030 30203030" + zeros(100)
	atrHex  = "3b6e0000 4b415a54 4f4b454e 20312e30 0001"

	version46 = `
		> 0c000000 11000000 04000000 06000000 00000000
		< 04000000 06000000 00000000`
	version44 = `
		> 0c000000 11000000 04000000 06000000 00000000
		< 04000000 04000000 1e001080
		> 0c000000 11000000 04000000 04000000 00000000
		< 04000000 04000000 00000000`
	establish = `
		> 0c000000 01000000  02000000 00000000 00000000
		< 02000000 47216956 00000000`
	greeting46 = version46 + establish
	greeting44 = version44 + establish

	record    = nameHex + "00000000 34000000 00000000" + atrHex + zeros(15) + "000000 12000000 00000000"
	connected = nameHex + "00000000 34000000 01000000" + atrHex + zeros(15) + "000000 12000000 01000000"
	// free is an unused record as pcscd has it: the length of its ATR is 34.
	free = zeros(176) + "22000000 00000000"

	connect = `
		> 98000000 04000000  47216956` + nameHex + `02000000 03000000 00000000 00000000 00000000
		< 47216956` + nameHex + `02000000 03000000 364beb49 01000000 00000000`
	begin = `
		> 08000000 07000000 364beb49 00000000`
	end = `
		> 0c000000 08000000 364beb49 00000000 00000000`
	reconnect = `
		> 18000000 05000000 364beb49 02000000 03000000 00000000 00000000 00000000`
	selectMF = `
		> 20000000 09000000  364beb49 01000000 10000000 05000000 03000000 10000000 0c000100 00000000  00a4040000`
	selected = `
		< 364beb49 01000000 10000000 05000000 03000000 10000000 02000000 00000000  9000`
	release = `
		> 08000000 02000000 47216956 00000000
		< 47216956 00000000`
)

// array46 asks for an array of two records and has its answer.
func array46(first string) string {
	return `
		> 00000000 16000000
		< 02000000
		> 00000000 17000000
		< ` + first + free
}

// array44 is the fixed array of sixteen records.
func array44(first string) string {
	return `
		> 00000000 12000000
		< ` + first + strings.Repeat(free, 15)
}

// lines takes a script apart: alternating directions, joined bytes.
func lines(script string) (all []line) {
	for _, text := range strings.Split(script, "\n") {
		text = strings.TrimSpace(text)
		switch {
		case text == "":
		case text == ".":
			all = append(all, line{gate: true})
		case text[0] == '>' || text[0] == '<':
			all = append(all, line{service: text[0] == '<', bytes: unhex(text[1:])})
		default:
			last := &all[len(all)-1]
			last.bytes = append(last.bytes, unhex(text)...)
		}
	}
	return all
}

type line struct {
	gate, service bool
	bytes         []byte
}

// converse plays the service's part of a script.
func converse(nc net.Conn, script string, gate <-chan struct{}) error {
	for i, l := range lines(script) {
		if l.gate {
			<-gate
			continue
		}
		if l.service {
			if _, err := nc.Write(l.bytes); err != nil {
				return fmt.Errorf("line %d: %w", i, err)
			}
			continue
		}
		got := make([]byte, len(l.bytes))
		n, err := io.ReadFull(nc, got)
		if err != nil || !bytes.Equal(got, l.bytes) {
			return fmt.Errorf("line %d: the client said % x (%v), want % x", i, got[:n], err, l.bytes)
		}
	}
	return nil
}

// service plays one script for each connection, in their order.
type service struct {
	t    *testing.T
	path string // of the socket, if it has one
	gate chan struct{}

	mu      sync.Mutex // guards scripts
	scripts []string
	played  sync.WaitGroup
}

// listen makes a service with a socket of its own. When the test ends, every
// script has to be at its end and the client has to have closed every connection.
func listen(t *testing.T, scripts ...string) *service {
	t.Helper()
	s := newService(t, scripts...)
	s.path = filepath.Join(t.TempDir(), "comm")
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(nc)
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		s.finish()
	})
	return s
}

func newService(t *testing.T, scripts ...string) *service {
	return &service{t: t, scripts: scripts, gate: make(chan struct{})}
}

// finish waits until the client has closed every connection.
func (s *service) finish() {
	s.played.Wait()
	if len(s.scripts) > 0 {
		s.t.Errorf("the client made too few connections: %d scripts are left", len(s.scripts))
	}
}

// serve plays the next script and expects the client to close the connection.
// A script that ends with ! closes it first.
func (s *service) serve(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scripts) == 0 {
		s.t.Error("one connection too many")
		nc.Close()
		return
	}
	script, hangUp := strings.CutSuffix(s.scripts[0], "!")
	s.scripts = s.scripts[1:]
	s.played.Go(func() {
		defer nc.Close()
		if err := converse(nc, script, s.gate); err != nil {
			s.t.Error(err)
			return
		}
		if hangUp {
			return
		}
		rest, err := io.ReadAll(nc)
		if err != nil || len(rest) > 0 {
			s.t.Errorf("after the script the client said % x (%v)", rest, err)
		}
	})
}

// dialPipe is a dial without a socket, for tests with a clock of their own.
func (s *service) dialPipe(ctx context.Context) (*link, error) {
	ours, theirs := net.Pipe()
	s.serve(theirs)
	return greet(ctx, ours)
}

// dialed connects to a service.
func dialed(t *testing.T, s *service) *Context {
	t.Helper()
	var (
		c   *Context
		err error
	)
	if s.path != "" {
		c, err = Dial(t.Context(), s.path)
	} else {
		c, err = open(t.Context(), s.dialPipe)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// shared connects to the card of the captures.
func shared(t *testing.T, c *Context) *Card {
	t.Helper()
	card, err := c.Connect(t.Context(), readerName, wire.ShareShared, wire.ProtocolT0|wire.ProtocolT1)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// want checks an error by code and cause.
func want(t *testing.T, err error, code wire.Result, cause error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code || !errors.Is(err, code) || cause != nil && !errors.Is(err, cause) || cause == nil && e.Err != nil {
		t.Errorf("error %v, want %v with cause %v", err, code, cause)
	}
}
