package roads

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/bridge/client"
	"kaztoken/firmware"
)

// The log-in of a card behind a smart-card service is one for all programs: whoever
// logs out would log out everybody. So each process that is logged in holds a
// shared lock on a file of its user's; who finds at its log-out that it can have
// the lock for itself is the last one, and logs out on the card.

// seat is a place among the processes that are logged in to one token.
type seat struct{ file *os.File }

// seatsDir is the folder of the lock files, of this user alone: that of the
// session, or one in the folder for temporary files.
func seatsDir() (string, error) {
	if dir := client.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dir = filepath.Join(dir, "kaztoken")
		return dir, os.MkdirAll(dir, 0o700)
	}
	dir := filepath.Join(os.TempDir(), "kaztoken-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return "", fmt.Errorf("%s: %w: it is not a folder of this user alone", dir, os.ErrPermission)
	}
	return dir, nil
}

// takeSeat joins those who are logged in to the token in a reader. While the last
// of them logs out, it waits.
func takeSeat(ctx context.Context, reader string) (*seat, error) {
	dir, err := seatsDir()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(reader))
	name := filepath.Join(dir, "login-"+hex.EncodeToString(sum[:8]))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f, unix.LOCK_SH); err != nil {
		f.Close() // it was only opened
		return nil, err
	}
	return &seat{f}, nil
}

// lockAgain is how long after a lock was refused it is asked for again: the
// system's own wait cannot be ended.
const lockAgain = 5 * time.Millisecond

func lock(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(lockAgain)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave gives the seat up. If it is the last one, last is called before another
// can be taken.
func (s *seat) leave(last func() error) (others bool, err error) {
	defer func() {
		// Close alone would not do: a child that was forked meanwhile has the file, too.
		_ = unix.Flock(int(s.file.Fd()), unix.LOCK_UN)
		_ = s.file.Close()
	}()
	if err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, last()
}

// joining bounds the wait for another process that logs out.
const joining = 5 * time.Second

// Join notes that this process is logged in. A system that has no place for the
// note has each process log out for all.
func (c *connection) Join(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, shared := c.token.Channel().(firmware.Sharer); !shared || c.seat != nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, joining)
	defer cancel()
	s, err := takeSeat(bounded, c.token.Name)
	if err == nil {
		c.seat = s
	}
	return ctx.Err()
}

// Leave ends that.
func (c *connection) Leave(last func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seat == nil {
		return last()
	}
	s := c.seat
	c.seat = nil
	others, err := s.leave(last)
	if others {
		c.token.LeaveOpen()
	}
	return err
}
