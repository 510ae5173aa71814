package emu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, path string, opts ...Option) *Card {
	t.Helper()
	c, err := Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func closeCard(t testing.TB, c *Card) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenKeepsState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	c := open(t, path, WithPIN(2, []byte("123456"), 5), WithTokenID([8]byte{7: 9}), WithFreeMemory(1000),
		WithHiddenPINs(), WithOneLogin(), WithTriesInAnswer(), WithDataObject(0x8B, []byte{1}))
	play(t, c,
		"00 20 00 02 01 30", "63 C4",
		"00 A4 00 0C 02 50 00", done,
		createEF("00 04", "03 00", freeRules), done,
		"00 D6 00 00 04 01 02 03 04", done,
		"00 20 00 02 06 31 32 33 34 35 36", done,
		"00 20 00 02", done,
		logout, done,
		"00 20 00 02 01 30", "63 C4")
	closeCard(t, c)

	// The options of the state have no effect now.
	c = open(t, path, WithWiped(), WithPIN(2, []byte("other1"), 1))
	play(t, c,
		"00 20 00 02", "63 C4",
		"00 CA 01 81 00", "00 00 00 00 00 00 00 09 90 00",
		"00 CA 01 8A 00", "00 00 03 C4 90 00",
		"00 CA 01 8B 00", "01 90 00",
		"00 A4 08 00 06 10 00 10 00 00 01 00", "6A 82",
		"00 A4 08 0C 04 50 00 03 00", done,
		"00 B0 00 00 00", "01 02 03 04 90 00",
		"00 20 00 02 01 30", "63 C3",
		verifyAdmin, done,
		"00 20 00 02 01 30", "6F 86",
		"80 8A 00 00", done)
	closeCard(t, c)

	// The initialisation phase survives power-off.
	c = open(t, path)
	play(t, c,
		"00 A4 00 00 02 3F 00 00", "6A 82",
		createDF("3F 00", mfRules), done,
		createEF("00 01", "40 00", freeRules), done)
}

func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	c := open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"token", "token.lock"}, names); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What changes nothing is not written.
	play(t, c,
		"00 A4 08 00 04 50 00 77 77 00", "6A 82",
		"00 20 00 02", "63 CA",
		"00 E4 00 00 02 2F 00", "69 82",
		"00 22 41 B6 03 84 01 01", "6A 88")
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the state file changed")
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) {
		t.Errorf("the state file was replaced, %v", err)
	}
}

func TestOpenAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	closeCard(t, open(t, path))
	// A kill may leave a state half written beside the file.
	if err := os.WriteFile(path+newSuffix, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	play(t, c, "00 20 00 02 01 30", "63 00")
	closeCard(t, c)
	if _, err := os.Stat(path + newSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	play(t, open(t, path), "00 20 00 02", "63 C9")
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := newToken()
	good := token.appendState(nil)
	for _, tt := range []struct {
		name, path string
		want       error
	}{
		{"text", write("text", []byte("hello, I am no token at all")), ErrState},
		{"empty", write("empty", nil), ErrState},
		{"cut", write("cut", good[:len(good)-1]), ErrState},
		{"huge", write("huge", make([]byte, maxState+1)), ErrState},
		{"no directory", filepath.Join(dir, "none", "token"), fs.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the lock is free again
				_, err := Open(tt.path)
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.path) {
					t.Errorf("got %v, want %v and the path", err, tt.want)
				}
			}
		})
	}
	if _, err := Open(dir); err == nil {
		t.Error("a directory was opened")
	}
}

func TestOpenInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	c := open(t, path)
	_, err := Open(path)
	want := "token " + path + ": the token is in use by process " + strconv.Itoa(os.Getpid())
	if !errors.Is(err, ErrInUse) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	play(t, c, "00 20 00 02 01 30", "63 00")
	closeCard(t, c)
	play(t, open(t, path), "00 20 00 02", "63 C9")
}

// childEnv makes this test binary open the token it names instead of running
// tests. It says so, then writes numbers into the scratch file, one per byte that
// it reads, and says each when the card has answered.
const childEnv = "EMU_TEST_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(childEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := child(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(path string) error {
	c, err := Open(path, WithScratchSize(8))
	if err != nil {
		return err
	}
	fmt.Println("open")
	apdu := []byte{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x5A, 0xFE}
	for n := uint64(1); ; n++ {
		answer, err := c.Transmit(context.Background(), nil, apdu)
		if err != nil || !bytes.Equal(answer, []byte{0x90, 0x00}) {
			return fmt.Errorf("% X, %w", answer, err)
		}
		if n > 1 {
			fmt.Println(n - 1)
		}
		if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
			return c.Close()
		}
		apdu = binary.BigEndian.AppendUint64([]byte{0x00, 0xD6, 0x00, 0x00, 0x08}, n)
	}
}

// process is a child that runs.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startChild starts a child and waits until it has opened the token.
func startChild(t *testing.T, path string) process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{cmd, in, bufio.NewScanner(out)}
	if !p.out.Scan() || p.out.Text() != "open" {
		t.Fatalf("the child said %q, %v", p.out.Text(), p.out.Err())
	}
	return p
}

// kill kills the child and gives the last line that it said.
func (p process) kill(t *testing.T) (last string) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for p.out.Scan() {
		last = p.out.Text()
	}
	if err := p.cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	return last
}

// Another process holds the token, and is killed.
func TestOpenInUseByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	p := startChild(t, path)
	_, err := Open(path)
	if !errors.Is(err, ErrInUse) || !strings.HasSuffix(err.Error(), "by process "+strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("got %v, want in use by %d", err, p.cmd.Process.Pid)
	}
	p.kill(t)
	play(t, open(t, path), "00 20 00 02", "63 CA")
}

// A process that writes as fast as it can is killed, somewhere; what it was told
// is stored, and at most one write more.
func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for round := range 8 {
		p := startChild(t, path)
		if _, err := p.in.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		for range 1 + 3*round {
			if !p.out.Scan() {
				t.Fatalf("the child ended, %v", p.out.Err())
			}
		}
		said := p.out.Text()
		if last := p.kill(t); last != "" {
			said = last
		}
		told, err := strconv.ParseUint(said, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c := open(t, path)
		play(t, c, "00 A4 00 0C 02 5A FE", done)
		b, _ := exchange(t, c, unhex(t, "00 B0 00 00 08"))
		if stored := binary.BigEndian.Uint64(b); stored != told && stored != told+1 {
			t.Errorf("the card said %d, %d is stored", told, stored)
		}
		closeCard(t, c)
	}
}

func TestClose(t *testing.T) {
	for name, c := range map[string]*Card{"memory": New(), "file": open(t, filepath.Join(t.TempDir(), "token"))} {
		closeCard(t, c)
		closeCard(t, c)
		got, err := c.Transmit(t.Context(), []byte("kept"), unhex(t, "00 20 00 02"))
		if !errors.Is(err, os.ErrClosed) || string(got) != "kept" {
			t.Errorf("%s: %q, %v, want os.ErrClosed", name, got, err)
		}
	}
}

// unwritable makes every write of the state at path fail, root or not, until the
// returned function is called: where the new state should go lies a directory.
func unwritable(t *testing.T, path string) (writable func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(path+newSuffix, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(path + newSuffix); err != nil {
			t.Fatal(err)
		}
	}
}

// Each command changes something, cannot store it, and is undone as a whole.
func TestWriteErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opts    []Option
		before  []string
		command string
		want    string // the answer once the state can be written again
	}{
		{"INIT", nil, []string{verifyUser, done}, "80 8A 00 00", done},
		{"INIT END", []Option{WithHalfInitialised()}, nil, "80 84 4E 19", done},
		{"CREATE of an EF", nil, []string{verifyUser, done}, createEF("00 01", "40 00", freeRules), done},
		{"CREATE of a DF", nil, []string{verifyUser, done}, createDF("40 00", freeRules), done},
		{"CREATE of an MF", []Option{WithWiped()}, nil, createDF("3F 00", mfRules), done},
		{"CREATE of a key", nil, []string{verifyUser, done}, createRSF("02 88", "00 01", privateProps, privateRules), done},
		{"UPDATE", nil, []string{verifyAdmin, done, "00 A4 00 0C 02 2F 00", done}, "00 D6 00 00 01 60", done},
		{"DELETE", nil, []string{verifyUser, done, "00 A4 08 0C 04 50 00 50 32", done}, "00 E4 00 00 02 50 32", done},
		{"VERIFY, wrong", nil, nil, "00 20 00 02 01 30", "63 00"},
		{"VERIFY, right", nil, nil, verifyUser, done},
		{"change a PIN", nil, []string{verifyUser, done}, setUser, done},
		{"unblock", nil, []string{"00 20 00 02 01 30", "63 00", verifyAdmin, done}, "00 2C 03 02", done},
		{"GENERATE KEY", []Option{testKeys(t)}, []string{
			verifyUser, done,
			createRSF("01 48", "00 01", privateProps, privateRules), done,
			createRSF("00 C0", "00 01", publicProps, publicRules), done,
		}, "00 46 80 01", "61 80"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			c := open(t, path, tt.opts...)
			play(t, c, tt.before...)
			stored, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			session := c.session
			writable := unwritable(t, path)
			for range 2 {
				play(t, c, tt.command, "65 81")
				if !bytes.Equal(c.appendState(nil), stored) {
					t.Error("the token changed in memory")
				}
				if c.logins != session.logins || !samePath(c.dir, session.dir) || !samePath(c.current, session.current) {
					t.Errorf("logins %d, current %v and %v; before %d, %v and %v",
						c.logins, c.dir, c.current, session.logins, session.dir, session.current)
				}
				play(t, c, "00 C0 00 00 00", "69 85")
			}
			writable()
			play(t, c, tt.command, tt.want)
			b, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(b, c.appendState(nil)) {
				t.Errorf("the state file does not hold the change, %v", err)
			}
			// The right PIN takes a try and gives it back.
			if same := bytes.Equal(b, stored); same != (tt.command == verifyUser) {
				t.Errorf("the state file is what it was: %v", same)
			}
		})
	}
}

func samePath(a, b *file) bool {
	if a == nil || b == nil {
		return a == b
	}
	return cmp.Equal(a.path(), b.path())
}

// The right PIN restores the counter in a second write. If only that one fails
// the try is spent and nobody is logged in: there is no way to take it back.
func TestWriteErrorBehindTheComparison(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	c := open(t, path)
	p := c.pin(userPIN)
	p.props[3]-- // what VERIFY does first
	if sw := c.commit(); sw != 0x9000 {
		t.Fatal(sw)
	}
	c.before = c.session
	p.restoreTries()
	writable := unwritable(t, path)
	if sw := c.commit(); sw != 0x6581 {
		t.Fatalf("got %v, want 6581", sw)
	}
	play(t, c, "00 20 00 02", "63 C9")
	writable()
	play(t, c, verifyUser, done)
}

func TestOpenCannotWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	writable := unwritable(t, path)
	if _, err := Open(path); err == nil {
		t.Error("a token that cannot be stored was opened")
	}
	writable()
	play(t, open(t, path), "00 20 00 02", "63 CA")
}

// After every APDU of two whole sessions the token is taken from its file by
// another card, as after a kill; it answers like the one that lived on.
func TestKilledAfterEveryAPDU(t *testing.T) {
	for _, name := range []string{"token-16.txt", "opensc-0.23.txt"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			c := open(t, path, WithWiped(), testKeys(t))
			steps := readTranscript(t, name).steps(t, traceVars(t))
			replay(t, c, steps, func(c *Card) *Card {
				again := &Card{atr: c.atr, random: c.random, keySource: c.keySource, store: c.store}
				if err := again.load(&settings{}); err != nil {
					t.Fatal(err)
				}
				// Power is off for the token only: the session is carried over, so
				// that the transcript goes on.
				again.session = c.session
				again.dir, again.current = again.again(c.dir), again.again(c.current)
				again.chain = c.chain
				if c.chain.open {
					again.chain.target = again.again(c.chain.target)
				}
				again.rest = c.rest
				return again
			})
		})
	}
}
