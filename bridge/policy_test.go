package bridge_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
)

// account makes the files of logind below a folder.
func account(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// addSeat makes the account one of a logind that runs.
func addSeat(t testing.TB, root string) {
	t.Helper()
	dir := filepath.Join(root, "seats")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "seat0"), []byte("IS_SEAT0=1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// The files as systemd 252 writes them, of a user at a desk.
const (
	userFile = `# This is private data. Do not parse.
NAME=aigerim
STATE=active
STOPPING=no
RUNTIME=/run/user/1000
SERVICE=user@1000.service
SLICE=user-1000.slice
DISPLAY=2
REALTIME=1700000000000000
MONOTONIC=12345678
LAST_SESSION_TIMESTAMP=0
SESSIONS=2 c1
SEATS=seat0
ACTIVE_SESSIONS=2
ONLINE_SESSIONS=2 c1
ACTIVE_SEATS=seat0
ONLINE_SEATS=seat0
`
	sessionFile = `# This is private data. Do not parse.
UID=1000
USER=aigerim
ACTIVE=1
IS_DISPLAY=1
STATE=active
REMOTE=0
TYPE=wayland
ORIGINAL_TYPE=wayland
CLASS=user
SCOPE=session-2.scope
FIFO=/run/systemd/sessions/2.ref
SEAT=seat0
TTY=tty2
SERVICE=gdm-password
DESKTOP=gnome
VTNR=2
POSITION=2
LEADER=1234
AUDIT=2
REALTIME=1700000000000000
MONOTONIC=12345678
CONTROLLER=:1.42
`
)

func TestSessionActive(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(sessionFile, old) {
			t.Fatalf("the session has no %q", old)
		}
		return strings.Replace(sessionFile, old, new, 1)
	}
	big := strings.Repeat("X=1\n", 64<<10)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  bool
		err   error
	}{
		{"at the desk", map[string]string{"users/1000": userFile, "sessions/2": sessionFile}, true, nil},
		{"the second session is the one", map[string]string{"users/1000": userFile, "sessions/2": with("ACTIVE=1", "ACTIVE=0"), "sessions/c1": sessionFile}, true, nil},
		{"quoted", map[string]string{"users/1000": strings.Replace(userFile, "2 c1", `"2 c1"`, 1), "sessions/2": with("seat0", `"seat0"`)}, true, nil},
		{"without a word about remote", map[string]string{"users/1000": userFile, "sessions/2": with("REMOTE=0\n", "")}, true, nil},
		{"switched away", map[string]string{"users/1000": userFile, "sessions/2": with("ACTIVE=1", "ACTIVE=0")}, false, nil},
		{"over ssh", map[string]string{"users/1000": userFile, "sessions/2": with("REMOTE=0", "REMOTE=1")}, false, nil},
		{"without a seat", map[string]string{"users/1000": userFile, "sessions/2": with("SEAT=seat0\n", "")}, false, nil},
		{"an empty seat", map[string]string{"users/1000": userFile, "sessions/2": with("SEAT=seat0", "SEAT=")}, false, nil},
		{"closing", map[string]string{"users/1000": userFile, "sessions/2": with("STATE=active", "STATE=closing")}, false, nil},
		{"of somebody else", map[string]string{"users/1000": userFile, "sessions/2": with("UID=1000", "UID=1001")}, false, nil},
		{"of nobody", map[string]string{"users/1000": userFile, "sessions/2": with("UID=1000\n", "")}, false, nil},
		{"a number that begins alike", map[string]string{"users/1000": userFile, "sessions/2": with("UID=1000", "UID=10000")}, false, nil},
		{"the last word counts", map[string]string{"users/1000": userFile, "sessions/2": sessionFile + "ACTIVE=0\n"}, false, nil},
		{"commented out", map[string]string{"users/1000": userFile, "sessions/2": with("ACTIVE=1", "#ACTIVE=1")}, false, nil},
		{"not logged in", map[string]string{"users/1001": userFile, "sessions/2": sessionFile}, false, nil},
		{"no session", map[string]string{"users/1000": strings.Replace(userFile, "SESSIONS=2 c1", "SESSIONS=", 1), "sessions/2": sessionFile}, false, nil},
		{"a session that has ended", map[string]string{"users/1000": userFile, "sessions/3": sessionFile}, false, nil},
		{"a session elsewhere", map[string]string{"users/1000": strings.Replace(userFile, "2 c1", "../mine ../../x . .. / a/b", 1), "mine": sessionFile, "sessions/": ""}, false, nil},
		{"a folder for a session", map[string]string{"users/1000": userFile, "sessions/2/x": sessionFile}, false, nil},
		{"a folder for a user", map[string]string{"users/1000/x": userFile, "sessions/2": sessionFile}, false, errors.ErrUnsupported},
		{"a session that is too long", map[string]string{"users/1000": userFile, "sessions/2": sessionFile + big}, false, nil},
		{"a user that is too long", map[string]string{"users/1000": userFile + big, "sessions/2": sessionFile}, false, errors.ErrUnsupported},
		{"too many sessions", map[string]string{"users/1000": "SESSIONS=" + strings.Repeat("x ", 64) + "2\n", "sessions/2": sessionFile}, false, nil},
		{"garbage", map[string]string{"users/1000": "SESSIONS=2\n=\n\x00=\nUID", "sessions/2": "\xff\xfe\x00UID=1000"}, false, nil},
		{"nobody logged in yet", map[string]string{"sessions/": ""}, false, nil},
		{"folders and no logind", map[string]string{"users/": "", "sessions/": "", "seats/": ""}, false, bridge.ErrNoLogind},
		{"no logind", map[string]string{"users/1000": userFile}, false, bridge.ErrNoLogind},
		{"nothing", nil, false, bridge.ErrNoLogind},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := account(t, c.files)
			if c.err != bridge.ErrNoLogind {
				addSeat(t, root)
			}
			got, err := bridge.SessionActive(root, 1000)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestAccess(t *testing.T) {
	desk := account(t, map[string]string{"users/1000": userFile, "sessions/2": sessionFile})
	addSeat(t, desk)
	none := t.TempDir()
	for _, c := range []struct {
		name   string
		access bridge.Access
		peer   bridge.Peer
		want   bool
	}{
		{"root", bridge.Access{Sessions: desk}, bridge.Peer{UID: 0}, true},
		{"at the desk", bridge.Access{Sessions: desk}, bridge.Peer{UID: 1000}, true},
		{"another", bridge.Access{Sessions: desk}, bridge.Peer{UID: 1001}, false},
		{"a listed user", bridge.Access{Users: []uint32{1001}, Sessions: desk}, bridge.Peer{UID: 1001}, true},
		{"a listed group", bridge.Access{Groups: []uint32{50}, Sessions: desk}, bridge.Peer{UID: 1001, GID: 50}, true},
		{"a supplementary group", bridge.Access{Groups: []uint32{50}, Sessions: desk}, bridge.Peer{UID: 1001, GID: 1001, Groups: []uint32{7, 50}}, true},
		{"a uid is no gid", bridge.Access{Groups: []uint32{50}, Sessions: desk}, bridge.Peer{UID: 50, GID: 1}, false},
		{"the group of no logind, with one", bridge.Access{FallbackGroups: []uint32{50}, Sessions: desk}, bridge.Peer{UID: 1001, GID: 50}, false},
		{"the group of no logind, without", bridge.Access{FallbackGroups: []uint32{50}, Sessions: none}, bridge.Peer{UID: 1001, GID: 50}, true},
		{"at no desk", bridge.Access{Sessions: none}, bridge.Peer{UID: 1000}, false},
	} {
		if got := c.access.Allow(c.peer); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	same := bridge.SameUser()
	me := uint32(os.Geteuid())
	for uid, want := range map[uint32]bool{0: true, me: true, me + 1: false} {
		if got := same.Allow(bridge.Peer{UID: uid}); got != want {
			t.Errorf("SameUser of %d: %v, want %v", uid, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	if got, err := bridge.UserIDs([]string{"root", "1234"}); err != nil || len(got) != 2 || got[0] != 0 || got[1] != 1234 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := bridge.GroupIDs([]string{"0", "4294967295"}); err != nil || len(got) != 2 || got[1] != 4294967295 {
		t.Errorf("%v, %v", got, err)
	}
	for _, name := range []string{"nobody-has-this-name", "", "-1", "4294967296"} {
		if got, err := bridge.UserIDs([]string{name}); err == nil {
			t.Errorf("user %q is %v", name, got)
		}
		if got, err := bridge.GroupIDs([]string{name}); err == nil {
			t.Errorf("group %q is %v", name, got)
		}
	}
}

// TestPeer: the system knows that it is us.
func TestPeer(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	here, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	peer, err := bridge.PeerOf(there)
	if err != nil || peer.PID != os.Getpid() || peer.UID != uint32(os.Geteuid()) || peer.GID != uint32(os.Getegid()) {
		t.Errorf("%+v, %v", peer, err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if !peer.In(uint32(g)) {
			t.Errorf("%+v is not in our group %d", peer, g)
		}
	}
	if want := "pid " + strconv.Itoa(os.Getpid()) + " uid " + strconv.Itoa(os.Geteuid()); peer.String() != want {
		t.Errorf("%q, want %q", peer, want)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := bridge.PeerOf(a); err == nil {
		t.Error("a pipe in memory has a peer")
	}
}

// TestDenied: who may not connect sees what it would see of pcscd, and who may
// no more keeps the connection and gets no handle.
func TestDenied(t *testing.T) {
	var denied atomic.Bool
	policy := bridge.PolicyFunc(func(bridge.Peer) bool { return !denied.Load() })
	s := begin(t, bridge.Config{Policy: policy}, echo())
	p, q := s.connected(), s.established(4)
	denied.Store(true)
	refused := s.dial()
	refused.Write(frame(wire.CmdVersion, wire.Version{Major: 4, Minor: 4}.AppendTo(nil)))
	if b, err := io.ReadAll(refused); len(b) != 0 {
		t.Errorf("the refused one hears % x, %v", b, err)
	}
	s.alive(p) // its user has it in hand
	q.want("connect", q.connect(wire.ShareShared).Result, wire.SecurityViolation)
	s.service.SetPolicy(bridge.PolicyFunc(func(bridge.Peer) bool { return true }))
	q.want("connect", q.connect(wire.ShareShared).Result, wire.Success)
}

// TestDefaultPolicy: without one, nobody but us and root gets in.
func TestDefaultPolicy(t *testing.T) {
	var uid atomic.Uint32
	cfg := bridge.Config{Policy: bridge.SameUser()}
	cfg.SetPeer(func(net.Conn) (bridge.Peer, error) {
		if uid.Load() == 7 {
			return bridge.Peer{}, errors.New("nobody knows")
		}
		return bridge.Peer{UID: uid.Load()}, nil
	})
	s := begin(t, cfg, echo())
	s.program().establish()
	uid.Store(uint32(os.Geteuid()) + 1)
	s.program().closed()
	uid.Store(7)
	s.program().closed()
}

// FuzzVariables: what is read is on a line of the file, and nothing else is.
func FuzzVariables(f *testing.F) {
	f.Add(sessionFile)
	f.Add(userFile)
	f.Add("A=1\n#B=2\nC\n=D\nE=\"x\"\r\n F=3\nG=\"")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for key, value := range bridge.Variables([]byte(text)) {
			n++
			if key == "" || strings.HasPrefix(key, "#") || strings.ContainsAny(key, " \t\n=\x00") || strings.Contains(value, "\n") {
				t.Fatalf("%q = %q", key, value)
			}
			if !strings.Contains(text, key+"="+value) && !strings.Contains(text, key+`="`+value+`"`) {
				t.Fatalf("%q = %q is not in %q", key, value, text)
			}
		}
		if lines := strings.Count(text, "\n") + 1; n > lines {
			t.Fatalf("%d assignments in %d lines", n, lines)
		}
	})
}
