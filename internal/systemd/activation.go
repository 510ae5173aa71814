package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// firstDescriptor is SD_LISTEN_FDS_START.
const firstDescriptor = 3

// maxDescriptors bounds the descriptors that LISTEN_FDS may claim.
const maxDescriptors = 64

// ErrActivation says that what the manager passed is not what the service can
// use.
var ErrActivation = errors.New("socket activation")

// Listener gives the socket that the manager passed: LISTEN_PID names process
// pid, LISTEN_FDS is 1, and descriptor 3 is a unix stream socket that listens.
// Without LISTEN_PID, or if it names another process, there is none: nil and no
// error. The socket is not unlinked when the listener is closed: it is the
// manager's.
//
// Any other number of descriptors, and any other kind of socket, is
// [ErrActivation]; descriptors that were passed are closed then. Listener takes
// the descriptor, so it is called once.
func Listener(getenv func(string) string, pid int) (*net.UnixListener, error) {
	return listener(getenv, pid, firstDescriptor)
}

func listener(getenv func(string) string, pid, first int) (*net.UnixListener, error) {
	meant, err := strconv.Atoi(getenv("LISTEN_PID"))
	if err != nil || meant != pid {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > maxDescriptors {
		return nil, fmt.Errorf("%w: LISTEN_FDS is %q", ErrActivation, getenv("LISTEN_FDS"))
	}
	if n == 0 {
		return nil, nil
	}
	var files []*os.File
	for fd := first; fd < first+n; fd++ {
		syscall.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "LISTEN_FD_"+strconv.Itoa(fd)))
	}
	defer func() {
		for _, f := range files {
			f.Close() // a listener has a copy
		}
	}()
	if n != 1 {
		return nil, fmt.Errorf("%w: %d sockets were passed, want one", ErrActivation, n)
	}
	listening, err := syscall.GetsockoptInt(first, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("%w: descriptor %d: %w", ErrActivation, first, err)
	}
	l, err := net.FileListener(files[0])
	if err != nil {
		return nil, fmt.Errorf("%w: descriptor %d: %w", ErrActivation, first, err)
	}
	ul, ok := l.(*net.UnixListener)
	if !ok || ul.Addr().Network() != "unix" || listening == 0 {
		l.Close()
		return nil, fmt.Errorf("%w: descriptor %d is not a unix stream socket that listens", ErrActivation, first)
	}
	return ul, nil
}
