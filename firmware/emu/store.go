package emu

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// ErrInUse says that another process, or another Card of this one, holds the state
// file. It is wrapped with the file and, where known, the process.
var ErrInUse = errors.New("the token is in use")

// Suffixes of the files beside a state file.
const (
	lockSuffix = ".lock" // held while the token is open; stays, and names the process
	newSuffix  = ".new"  // a state being written
)

// store is the file that keeps a token.
type store struct {
	path string
	lock *os.File
}

// Open makes a token whose state is kept in the file path. If there is none it is
// made, mode 0600, as [New] would with these options; otherwise the options that
// describe the token's state (all but [WithATR], [WithRandom] and [WithKeySource])
// have no effect, unless [WithNewState] is one of them.
//
// The state is on the disk before the answer of every command that changes it: it
// is written beside path, synced and renamed, so that a kill at any moment leaves
// the state before or after the command. Beside it lies a lock file.
//
// The error is [ErrInUse] while the file is open elsewhere, [ErrState] if it holds
// something else, or that of the file system. The caller closes the card.
func Open(path string, opts ...Option) (*Card, error) {
	s := settingsOf(opts)
	st, err := openStore(path)
	if err != nil {
		return nil, err
	}
	c := s.card()
	c.store = st
	if err := c.load(s); err != nil {
		return nil, errors.Join(err, st.close())
	}
	c.Reset(true)
	return c, nil
}

// load reads the state, or makes and stores it.
func (c *Card) load(s *settings) error {
	var (
		b   []byte
		err = fs.ErrNotExist
	)
	if !s.fresh {
		b, err = c.store.load()
	}
	if errors.Is(err, fs.ErrNotExist) {
		c.token = s.token()
		c.saved = c.appendState(nil)
		if err := c.store.save(c.saved); err != nil {
			return fmt.Errorf("token %s: %w", c.store.path, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("token %s: %w", c.store.path, err)
	}
	if c.token, err = parseState(b); err != nil {
		return fmt.Errorf("token %s: %w", c.store.path, err)
	}
	c.saved = b
	return nil
}

// Close gives the state file free. A card of [New] has none. Afterwards Transmit
// fails with [os.ErrClosed]. Close is idempotent; like Transmit, it must not
// overlap with other calls.
func (c *Card) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.store == nil {
		return nil
	}
	return c.store.close()
}

// commit stores the token. If that fails everything goes back to what it was when
// the command began, or when it last stored.
func (c *Card) commit() iso7816.SW {
	c.changed = false
	if c.store == nil {
		return iso7816.SWOK
	}
	next := c.appendState(c.spare[:0])
	if err := c.store.save(next); err != nil {
		c.spare = next
		c.undo()
		return iso7816.SWMemoryFailure
	}
	secret.Wipe(c.saved)
	c.saved, c.spare = next, c.saved
	return iso7816.SWOK
}

// undo goes back to the stored token and to the session before the command.
func (c *Card) undo() {
	t, err := parseState(c.saved)
	if err != nil {
		panic(err) // it was encoded or parsed here
	}
	c.token = t
	c.session = c.before
	c.dir, c.current = c.again(c.before.dir), c.again(c.before.current)
	c.chain.drop()
}

// again finds the file in the tree that was parsed afresh; f may be nil.
func (c *Card) again(f *file) *file {
	if f == nil {
		return nil
	}
	return c.mf.below(f.path()...)
}

func openStore(path string) (*store, error) {
	absolute, err := filepath.Abs(path) // the working directory may change
	if err != nil {
		return nil, fmt.Errorf("token %s: %w", path, err)
	}
	path = absolute
	lock, err := os.OpenFile(path+lockSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("token %s: %w", path, err)
	}
	s := &store{path: path, lock: lock}
	switch held, err := lockFile(lock); {
	case err != nil:
		return nil, errors.Join(fmt.Errorf("token %s: lock: %w", path, err), lock.Close())
	case held:
		return nil, errors.Join(fmt.Errorf("token %s: %w%s", path, ErrInUse, holder(lock)), lock.Close())
	}
	if err := s.sign(); err != nil {
		return nil, errors.Join(fmt.Errorf("token %s: lock: %w", path, err), lock.Close())
	}
	return s, nil
}

// sign writes this process's number into the lock file, for [holder].
func (s *store) sign() error {
	if err := s.lock.Truncate(0); err != nil {
		return err
	}
	_, err := s.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder tells who signed a lock file, if that can be read.
func holder(lock *os.File) string {
	b, err := io.ReadAll(io.LimitReader(lock, 16))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" by process %d", pid)
}

func (s *store) load() ([]byte, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(b) > maxState {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrState, maxState)
	}
	return b, nil
}

// save replaces the state file as a whole.
func (s *store) save(b []byte) error {
	name := s.path + newSuffix
	// One that a kill left behind is of no use.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	if err := os.Rename(name, s.path); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return syncDir(filepath.Dir(s.path))
}

// syncDir makes the new name of a file last.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// close gives the lock free. The lock file stays: removing it could take it from
// under somebody who just opened it.
func (s *store) close() error { return s.lock.Close() }
