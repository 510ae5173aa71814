package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/internal/host"
)

// served is a run of serve.
type served struct {
	t       *testing.T
	socket  string
	out     *bufio.Reader // of its standard output
	manager *net.UnixConn // receives what the service manager is told
	hangup  chan os.Signal
	stop    context.CancelFunc
	ended   chan result
}

// shortDir is a folder with a short name: that of a socket has 108 bytes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kaz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serveInBackground runs serve on a token in software, with a service manager.
func serveInBackground(t *testing.T, edit func(*Env), args ...string) *served {
	t.Helper()
	dir := shortDir(t)
	s := &served{t: t, socket: filepath.Join(dir, "s"), hangup: make(chan os.Signal), ended: make(chan result, 1)}
	notify := filepath.Join(dir, "notify")
	var err error
	if s.manager, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.manager.Close() })
	r, w := io.Pipe()
	s.out = bufio.NewReader(r)
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	all := append([]string{"serve", "--json", "--virtual", "--socket", s.socket, "--config", filepath.Join(dir, "config")}, args...)
	go func() {
		defer w.Close()
		s.ended <- run(t, ctx, nil, func(e *Env) {
			e.Out = w
			e.Getenv = func(name string) string { return map[string]string{"NOTIFY_SOCKET": notify}[name] }
			e.Hangups = func() (<-chan os.Signal, func()) { return s.hangup, func() {} }
			if edit != nil {
				edit(e)
			}
		}, all...)
	}()
	t.Cleanup(s.stop)
	return s
}

// told is the next message to the service manager.
func (s *served) told() string {
	s.t.Helper()
	b := make([]byte, 4096)
	s.manager.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := s.manager.Read(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b[:n])
}

// announced is the line that serve prints.
func (s *served) announced() (j serviceJSON) {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("%v; %+v", err, <-s.ended)
	}
	if err := json.Unmarshal([]byte(line), &j); err != nil {
		s.t.Fatalf("%v in %q", err, line)
	}
	return j
}

// end ends serve as SIGTERM does.
func (s *served) end() result {
	s.t.Helper()
	s.stop()
	go io.Copy(io.Discard, s.out) // nothing more comes, but the end
	return <-s.ended
}

func TestServe(t *testing.T) {
	s := serveInBackground(t, nil)
	j := s.announced()
	if j.Socket != s.socket || j.Export != "PCSCLITE_CSOCK_NAME="+s.socket || j.PID != os.Getpid() || len(j.Readers) != 1 ||
		j.Readers[0].Name != "DigiFlow LLP. KAZTOKEN 00 00" || cardWord(j.Readers[0]) != "ready" {
		t.Errorf("announced %+v", j)
	}
	if got, want := s.told(), "READY=1\nSTATUS="+s.socket+": readers 1, clients 0\n"; got != want {
		t.Errorf("the manager is told %q, want %q", got, want)
	}

	// A program has the card for itself.
	c, err := client.Dial(t.Context(), s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	card, err := c.Connect(t.Context(), j.Readers[0].Name, wire.ShareShared, wire.ProtocolT1)
	if err != nil {
		t.Fatal(err)
	}
	if err := card.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Somebody else is refused, and everybody may ask.
	r := run(t, t.Context(), nil, nil, "serve", "--virtual", "--socket", s.socket)
	r.want(t, exitOutOfReach, s.socket+" is served by ", "which speaks protocol 4:4", "hint: ")
	// The service may not have noticed yet that who was refused has gone.
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		r = run(t, t.Context(), nil, nil, "status", "--socket", s.socket, "--json")
		r.want(t, exitOK)
		if strings.Count(r.out, `"context"`) == 1 || time.Since(began) > time.Minute { // once for each client
			break
		}
	}
	golden(t, "status-keys", keys(t, r.out))
	r = run(t, t.Context(), nil, func(e *Env) {
		e.Getenv = func(name string) string { return map[string]string{"PCSCLITE_CSOCK_NAME": s.socket}[name] }
	}, "status")
	r.want(t, exitOK)
	golden(t, "status", mask(r.out, s.socket))

	// Settings are read again, and bad ones change nothing.
	config := filepath.Join(filepath.Dir(s.socket), "config")
	for _, c := range []struct{ text, log string }{
		{"[service]\nusers = [\"0\"]\nreaders = \"all\"\n", ""},
		{"[service]\nusres = [\"0\"]\n", "settings not taken over"},
		{"[service]\nreaders = \"some\"\n", "settings not taken over"},
	} {
		if err := os.WriteFile(config, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		s.hangup <- syscall.SIGHUP
		if got := s.told(); !strings.HasPrefix(got, "RELOADING=1\n") {
			t.Errorf("the manager is told %q", got)
		}
		if got := s.told(); !strings.HasPrefix(got, "READY=1\n") {
			t.Errorf("the manager is told %q", got)
		}
	}

	r = s.end()
	if r.code != exitOK || strings.Count(r.err, "settings not taken over") != 2 {
		t.Errorf("exit code %d, standard error %q", r.code, r.err)
	}
	if got := s.told(); got != "STOPPING=1\n" {
		t.Errorf("the manager is told %q", got)
	}
	if left, err := filepath.Glob(s.socket + "*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	run(t, t.Context(), nil, nil, "status", "--socket", s.socket).want(t, exitFailed, "no service at "+s.socket, "hint: start it: kaztoken serve")
}

// mask replaces what differs from run to run.
func mask(text, socket string) string {
	text = strings.ReplaceAll(text, socket, "/run/s")
	for _, m := range []struct{ what, with string }{
		{`pid \d+, user \d+`, "pid 1, user 2"},
		{`up [0-9.]+m?s`, "up 3s"},
		{`\S+ \(pid \d+\) +\d+ `, "test (pid 1)  2 "},
		{`[0-9.]+m?s`, "3s"},
		{` +`, " "}, // the columns depend on what was replaced
	} {
		text = regexp.MustCompile(m.what).ReplaceAllString(text, m.with)
	}
	return text
}

// TestServeText is what a person sees.
func TestServeText(t *testing.T) {
	r, w := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	socket := filepath.Join(shortDir(t), "s")
	ended := make(chan result, 1)
	go func() {
		defer w.Close()
		ended <- run(t, ctx, nil, func(e *Env) { e.Err = w }, "serve", "--virtual", "--socket", socket, "--config", socket+".json")
	}()
	lines := bufio.NewReader(r)
	for _, want := range []string{"serving " + socket + "; Ctrl-C ends. For programs:\n", "  export PCSCLITE_CSOCK_NAME=" + socket + "\n"} {
		if got, err := lines.ReadString('\n'); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	stop()
	if r := <-ended; r.code != exitOK || r.out != "" {
		t.Errorf("%+v", r)
	}
}

// TestServeActivated serves the socket of a service manager, under a watchdog,
// until nobody is there.
func TestServeActivated(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "pcscd.comm")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	s := serveInBackground(t, func(e *Env) {
		e.Activated = func() (*net.UnixListener, error) { return l, nil }
		notify := e.Getenv("NOTIFY_SOCKET")
		e.Getenv = func(name string) string {
			return map[string]string{"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": "2000"}[name]
		}
	}, "--idle-exit", "100ms")
	if j := s.announced(); j.Socket != path {
		t.Errorf("announced %+v", j)
	}
	counts := make(map[string]int)
	for counts["STOPPING=1"] == 0 {
		first, _, _ := strings.Cut(s.told(), "\n")
		counts[first]++
	}
	if counts["READY=1"] != 1 || counts["WATCHDOG=1"] < 2 {
		t.Errorf("the manager was told %v", counts)
	}
	if r := <-s.ended; r.code != exitOK || r.err != "" {
		t.Errorf("%+v", r)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the manager's socket: %v", err)
	}
}

func TestServeUsage(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	bad := socket + ".json"
	if err := os.WriteFile(bad, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"--idle-exit", "-1s"}, exitUsage, "--idle-exit"},
		{[]string{"--legacy-slots", "-1"}, exitUsage, "--legacy-slots"},
		{[]string{"--readers", "some"}, exitUsage, `readers "some"`},
		{[]string{"--backend", "pcsc"}, exitUsage, `backend "pcsc"`},
		{[]string{"--user", "nobody of this name"}, exitFailed, "nobody of this name"},
		{[]string{"--group", "no such group"}, exitFailed, "no such group"},
		{[]string{"--config", bad}, exitFailed, bad},
		{[]string{"more"}, exitUsage, "more"},
	} {
		args := append([]string{"serve", "--virtual", "--socket", socket, "--config", filepath.Join(socket, "none")}, c.args...)
		run(t, t.Context(), nil, nil, args...).want(t, c.code, c.err)
	}
	refusing := func(e *Env) { e.Activated = func() (*net.UnixListener, error) { return nil, os.ErrInvalid } }
	run(t, t.Context(), nil, refusing, "serve", "--virtual", "--config", filepath.Join(socket, "none")).want(t, exitFailed, "invalid argument")
}

// TestStatusOfOthers is what an ordinary user sees of a card that somebody else
// has.
func TestStatusOfOthers(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	hidden := bridge.Holder{UID: host.Nobody, Since: at.Add(time.Minute)}
	mine := bridge.Holder{PID: 812, UID: 1000, Program: "scdaemon\x1b[2J", Since: at}
	report := host.Report{
		Program: "kaztoken v1.2.3", PID: 700, UID: 990, Socket: host.DefaultSocket, Started: at,
		Snapshot: bridge.Snapshot{
			Readers: []bridge.ReaderStatus{
				{
					Name: "DigiFlow LLP. KAZTOKEN 00 00", Visible: true, State: "present|powered|negotiable", Power: true,
					ATR: "3B 88 01", Protocol: "T1", Sharing: 2, Cards: 1, Waiting: 3, Lock: &hidden,
					Handles: []bridge.HandleStatus{{Holder: mine, Share: "shared"}, {Holder: hidden, Share: "shared", Lock: true}},
				},
				{Name: "Maker Reader 01 00", Visible: true, State: "absent", Protocol: "undefined"},
			},
			Clients: []bridge.ClientStatus{{Holder: mine, Version: "4:6", Context: true, Waiting: true, Handles: 1}},
		},
	}
	var out strings.Builder
	a := &app{Env: Env{Out: &out, Now: func() time.Time { return at.Add(3*time.Minute + 2*time.Second) }}}
	if err := a.printReport(report); err != nil {
		t.Fatal(err)
	}
	golden(t, "status-others", out.String())
}

func TestCardWord(t *testing.T) {
	for _, c := range []struct {
		state   string
		visible bool
		want    string
	}{
		{"present|powered|negotiable", true, "ready"}, {"present|mute", true, "mute"}, {"present", true, "unpowered"},
		{"absent", true, "absent"}, {"unknown", true, "failing"}, {"absent", false, "coming"},
	} {
		if got := cardWord(bridge.ReaderStatus{State: c.state, Visible: c.visible}); got != c.want {
			t.Errorf("%s, visible %v: %q, want %q", c.state, c.visible, got, c.want)
		}
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 210 * time.Millisecond: "200ms", 9950 * time.Millisecond: "10s", 192100 * time.Millisecond: "3m12s",
	} {
		if got := spell(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
