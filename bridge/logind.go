package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// logindRoot is where systemd-logind keeps its account of who is at the machine:
// a file for each user who is logged in, below users/, and one for each session,
// below sessions/. Its library sd-login reads the same files; nobody has to be
// asked over D-Bus.
const logindRoot = "/run/systemd"

// errNoLogind: nobody keeps account of sessions here.
var errNoLogind = errors.New("no account of sessions")

// Limits of what is read of the account.
const (
	maxSessionFile = 64 << 10 // bytes of one file
	maxSessions    = 64       // of one user
)

// sessionActive reports whether a user has a session that is local, at a seat,
// and the one in front there. The error is [errNoLogind] or that of a file that
// cannot be read; who has no session is nobody's error.
func sessionActive(root string, uid uint32) (bool, error) {
	// The folders are made at every boot with systemd, whether or not logind runs;
	// the first seat is there as soon as it does.
	if _, err := os.Stat(filepath.Join(root, "seats", "seat0")); err != nil {
		return false, errNoLogind
	}
	var sessions []string
	user, err := readAccount(filepath.Join(root, "users", strconv.FormatUint(uint64(uid), 10)))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for key, value := range variables(user) {
		if key == "SESSIONS" {
			sessions = strings.Fields(value)
		}
	}
	for _, id := range sessions[:min(len(sessions), maxSessions)] {
		if !sessionID(id) {
			continue
		}
		session, err := readAccount(filepath.Join(root, "sessions", id))
		if err == nil && inFront(session, uid) {
			return true, nil
		}
	}
	return false, nil
}

// inFront reads the file of a session (sd-login: sd_session_get_uid,
// sd_session_is_active, sd_session_is_remote, sd_session_get_seat).
func inFront(session []byte, uid uint32) bool {
	var owner, active, remote, seat, state string
	for key, value := range variables(session) {
		switch key {
		case "UID":
			owner = value
		case "ACTIVE":
			active = value
		case "REMOTE":
			remote = value
		case "SEAT":
			seat = value
		case "STATE":
			state = value
		}
	}
	return owner == strconv.FormatUint(uint64(uid), 10) && active == "1" && (remote == "" || remote == "0") && seat != "" && state != "closing"
}

// sessionID reports whether a word is a name that logind gives to sessions:
// nothing that leads to another folder.
func sessionID(id string) bool {
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// readAccount reads one file, if it is a file and not too long.
func readAccount(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would keep us waiting
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file: %w", path, errors.ErrUnsupported)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSessionFile+1))
	if err == nil && len(b) > maxSessionFile {
		err = fmt.Errorf("%s is too long: %w", path, errors.ErrUnsupported)
	}
	return b, err
}

// variables yields the assignments of a file, KEY=VALUE, one a line. Lines that
// are empty or begin with # are comments, all others without a key are left out.
// Of a value in quotation marks these are taken off; nothing that is read here
// has anything in it that would be escaped.
func variables(b []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for line := range bytes.Lines(b) {
			line = bytes.TrimRight(line, "\r\n")
			key, value, ok := strings.Cut(string(line), "=")
			if !ok || key == "" || key[0] == '#' || strings.ContainsAny(key, " \t\x00") {
				continue
			}
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			if !yield(key, value) {
				return
			}
		}
	}
}
