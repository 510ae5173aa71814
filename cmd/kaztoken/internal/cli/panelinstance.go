//go:build !minimal

package cli

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// instanceAnswer bounds a question to the panel that runs already.
	instanceAnswer = 3 * time.Second
	// instanceRetry is how often it is asked while it is about to start.
	instanceRetry = 50 * time.Millisecond
)

// errRunning: a panel with the same options runs already.
var errRunning = errors.New("the panel runs already")

// instance is this process's claim to be the one panel of its user with its options:
// a lock that the system drops with the process, and a socket at which another start
// asks for an address. Both are in a folder that nobody else may enter.
type instance struct {
	path     string
	lock     *os.File
	listener net.Listener
	wg       sync.WaitGroup
}

// runtimeFolder makes the folder for what lives as long as the user's session, or
// finds it, and makes sure that it is the user's alone.
func runtimeFolder(getenv func(string) string) (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("kaztoken-%d", os.Getuid()))
	if base := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(base) {
		dir = filepath.Join(base, "kaztoken")
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir) // a link would lead to where somebody else wants
	if err != nil {
		return "", err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || info.Mode().Perm()&0o077 != 0 || ok && int(owner.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s: not a folder of this user alone", dir)
	}
	return dir, nil
}

// instanceName is the name of the files of a panel with these options. One with
// others is another panel.
func (a *app) instanceName(o panelOptions) string {
	h := sha256.Sum256([]byte(strings.Join([]string{
		a.options.Backend, a.options.Driver, a.options.Devices, a.options.Token, a.options.VirtualState, o.listen, o.cert, o.key, o.password,
	}, "\x00")))
	return "panel-" + hex.EncodeToString(h[:6])
}

// claim makes this process the panel with a name. The error is errRunning if there is
// one.
func claim(dir, name string) (*instance, error) {
	i := &instance{path: filepath.Join(dir, name+".sock")}
	lock, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errRunning
		}
		return nil, errors.Join(err, lock.Close())
	}
	i.lock = lock
	if err := os.Remove(i.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, lock.Close())
	}
	if i.listener, err = net.Listen("unix", i.path); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := os.Chmod(i.path, 0o600); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

// serve answers other starts with what open gives, until the instance is closed.
func (i *instance) serve(open func() panelJSON) {
	i.wg.Go(func() { i.answer(open) })
}

func (i *instance) answer(open func() panelJSON) {
	for {
		c, err := i.listener.Accept()
		if err != nil {
			return
		}
		// Whoever gets this far is the user; one answer and no question.
		if err := c.SetDeadline(time.Now().Add(instanceAnswer)); err == nil {
			_ = json.NewEncoder(c).Encode(open()) // he may have left
		}
		c.Close()
	}
}

func (i *instance) close() error {
	err := i.listener.Close() // removes the socket
	i.wg.Wait()
	return errors.Join(err, i.lock.Close())
}

// askInstance asks the panel with a name for an address. It may be about to start.
func askInstance(ctx context.Context, dir, name string) (p panelJSON, err error) {
	ctx, cancel := context.WithTimeout(ctx, instanceAnswer)
	defer cancel()
	for {
		if p, err = askOnce(ctx, filepath.Join(dir, name+".sock")); err == nil {
			p.Reused = true
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, err
		case <-time.After(instanceRetry):
		}
	}
}

func askOnce(ctx context.Context, path string) (p panelJSON, err error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return p, err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return p, err
		}
	}
	err = json.NewDecoder(bufio.NewReaderSize(c, 4096)).Decode(&p)
	return p, err
}
