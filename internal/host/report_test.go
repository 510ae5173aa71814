package host

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
)

// sampleReport is of a service of user 990 with clients of users 1000 and 1001.
func sampleReport() Report {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	mine := bridge.Holder{PID: 812, UID: 1000, Program: "scdaemon", Since: at}
	yours := bridge.Holder{PID: 900, UID: 1001, Program: "firefox", Since: at}
	return Report{
		Program: "kaztoken v1.2.3", PID: 700, UID: 990, Socket: DefaultSocket, Started: at,
		Snapshot: bridge.Snapshot{
			Readers: []bridge.ReaderStatus{{
				Name: "DigiFlow LLP. KAZTOKEN 00 00", Visible: true, State: "present|powered|negotiable", Power: true,
				ATR: "3B88014B415A544F4B454E82", Protocol: "T1", Sharing: 2, Cards: 1, Waiting: 1, Lock: &yours,
				Handles: []bridge.HandleStatus{
					{Holder: mine, Share: "shared", Event: "none"}, {Holder: yours, Share: "shared", Event: "none", Lock: true},
				},
			}},
			Clients: []bridge.ClientStatus{
				{Holder: mine, Version: "4:4", Context: true, Handles: 1},
				{Holder: yours, Version: "4:6", Context: true, Waiting: true, Handles: 1},
			},
		},
	}
}

func TestReportSeenBy(t *testing.T) {
	all := sampleReport()
	whole := sampleReport()
	whole.Whole = true
	hidden := bridge.Holder{UID: Nobody, Since: all.Started}
	part := sampleReport()
	part.Readers[0].Lock = &hidden
	part.Readers[0].Handles[1].Holder = hidden
	part.Clients = part.Clients[:1]
	stranger := sampleReport()
	stranger.Readers[0].Lock = &hidden
	stranger.Readers[0].Handles[0].Holder = hidden
	stranger.Readers[0].Handles[1].Holder = hidden
	stranger.Clients = []bridge.ClientStatus{}
	for uid, want := range map[uint32]Report{0: whole, 990: whole, 1000: part, 4711: stranger} {
		if diff := cmp.Diff(want, all.seenBy(uid)); diff != "" {
			t.Errorf("user %d (-want +got):\n%s", uid, diff)
		}
	}
	if diff := cmp.Diff(sampleReport(), all); diff != "" {
		t.Errorf("seenBy changed the report:\n%s", diff)
	}
}

func anybody(bridge.Peer) bool { return true }

func TestAskStatus(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	want := sampleReport()
	want.UID, want.Whole = uint32(os.Getuid()), true
	r, err := startReporter(socket, func() Report { return want }, anybody)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for range 3 {
		got, err := AskStatus(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	info, err := os.Stat(statusPath(socket))
	if err != nil || info.Mode() != fs.ModeSocket|0o666 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(statusPath(socket)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestReporterReplacesDead starts where a killed service has left its socket.
func TestReporterReplacesDead(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: statusPath(socket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	var none *NoServiceError
	if _, err := AskStatus(t.Context(), socket); !errors.As(err, &none) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("beside a dead service: %v", err)
	}
	r, err := startReporter(socket, sampleReport, anybody)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := AskStatus(t.Context(), socket); err != nil {
		t.Error(err)
	}
}

func TestAskStatusOfNobody(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	var (
		none   *NoServiceError
		served *ServedError
	)
	if _, err := AskStatus(t.Context(), socket); !errors.As(err, &none) || errors.As(err, &served) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody: %v", err)
	}
	served4 := wire.Version{Major: 4, Minor: 4}
	other := filepath.Join(dir, "other")
	startOther(t, other, served4.AppendTo(nil))
	if _, err := AskStatus(t.Context(), other); !errors.As(err, &none) || !errors.As(err, &served) || served.Version != served4 {
		t.Errorf("another service: %v", err)
	}
	refusing, err := startReporter(socket, sampleReport, func(bridge.Peer) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer refusing.close()
	if _, err := AskStatus(t.Context(), socket); !errors.As(err, &none) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("not allowed: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := AskStatus(ended, socket); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestReporterManyAskers has more ask than are served, none of whom reads.
func TestReporterManyAskers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	entered, leave := make(chan struct{}), make(chan struct{})
	r, err := startReporter(socket, func() Report {
		entered <- struct{}{}
		<-leave
		return sampleReport()
	}, anybody)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var conns []net.Conn
	dial := func() net.Conn {
		c, err := net.Dial("unix", statusPath(socket))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range maxAskers {
		conns = append(conns, dial())
		<-entered
	}
	tooMany := dial()
	tooMany.SetDeadline(time.Now().Add(10 * time.Second))
	if n, err := tooMany.Read(make([]byte, 1)); err == nil {
		t.Errorf("one too many read %d bytes", n)
	}
	close(leave)
	for _, c := range conns {
		var got Report
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := json.NewDecoder(c).Decode(&got); err != nil {
			t.Error(err)
		}
	}
}
