package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/firmware"
	"kaztoken/internal/host"
)

// studio is a desk whose commands reach a software token over USB in software, so
// that there is something to record.
type studio struct{ *desk }

func newStudio(t *testing.T) studio { return studio{newDesk(t).files()} }

func (s studio) run(args ...string) result {
	s.t.Helper()
	all := []string{"--backend", "virtual", "--virtual-state", filepath.Join(s.dir, "virtual.state")}
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			a = filepath.Join(s.dir, name)
		}
		all = append(all, a)
	}
	r := execute(s.t.Context(), nil, func(e *Env) {
		s.edit(e)
		e.Card = func(t *host.Token) firmware.Card { return t.Channel() }
	}, all...)
	r.out, r.err = s.shorten(r.out), s.shorten(r.err)
	return r
}

// must runs a command that has to succeed.
func (s studio) must(args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	if r.code != exitOK {
		s.t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
	}
	return r
}

// TestTrace records the life of a token, looks for its secrets in the recordings
// and in what is shown of them, and replays them.
func TestTrace(t *testing.T) {
	s := newStudio(t)
	stories := [][]string{
		{"format.pcapng", "format", "--yes", "--pin-file", "@admin.pin", "--user-pin-file", "@new.pin", "--admin-pin-file", "@new.pin"},
		{"import.pcapng", "cert", "import", "@demo.p12", "--password-file", "@password", "--pin-file", "@new.pin"},
		{"sign.pcapng", "sign", "--key", "1", "--format", "hex", "--pin-file", "@new.pin", "@letter.txt"},
		{"pin.pcapng", "pin", "change", "--pin-file", "@new.pin", "--new-pin-file", "@user.pin"},
	}
	for _, story := range stories {
		r := s.must(append([]string{"trace", "record", "@" + story[0]}, story[1:]...)...)
		if !strings.Contains(r.err, "recorded "+story[0]) {
			t.Errorf("%s: %s", story[0], r.err)
		}
		file, err := os.ReadFile(filepath.Join(s.dir, story[0]))
		if err != nil {
			t.Fatal(err)
		}
		shown := s.must("trace", "show", "@"+story[0])
		told := s.must("trace", "show", "@"+story[0], "--json")
		for _, secret := range []string{factoryUser, factoryAdmin, newUser, demoPassword} {
			for name, text := range map[string]string{"file": string(file), "show": shown.out, "show --json": told.out} {
				if shows(text, secret) {
					t.Errorf("%s, %s: %q shows", story[0], name, secret)
				}
			}
		}
		s.noKey(t, story[0], string(file)+shown.out+told.out)
		if !strings.Contains(shown.out, "00200002 **") || !strings.Contains(shown.out, "9000 done") {
			t.Errorf("%s: got\n%s", story[0], shown.out)
		}
		if r := s.must("trace", "replay", "@"+story[0]); !strings.Contains(r.err, "the same as the recording") {
			t.Errorf("%s: %s%s", story[0], r.out, r.err)
		}
	}
}

// TestTraceRecordDashes: "--" may stand before the command.
func TestTraceRecordDashes(t *testing.T) {
	s := newStudio(t)
	if r := s.must("trace", "record", "@a.pcapng", "--", "pin", "status"); !strings.Contains(r.out, "User PIN") || !strings.Contains(r.err, "recorded a.pcapng") {
		t.Errorf("got %s%s", r.out, r.err)
	}
	s.run("trace").want(t, exitUsage, "a further word")
	s.run("trace", "record", "@b.pcapng", "--").want(t, exitUsage, "requires at least 2 arg(s)")
	s.run("trace", "record", "@b.pcapng", "--", "trace", "record", "@c.pcapng", "info").want(t, exitUsage, "a recording of a recording")
}

// noKey looks for the key of demo.p12, which is on its way in little-endian.
func (s studio) noKey(t *testing.T, where, text string) {
	t.Helper()
	a := &app{Env: Env{Console: func() (Console, error) { return &typist{&s.screen, &[]string{demoPassword}}, nil }}}
	contents, err := a.readCertFile(t.Context(), s.file("p12", string(demoIdentity)), &secretFlags{fd: noFD})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range contents.Key.Primes {
		b := p.Bytes()
		for _, part := range []string{string(b[:8]), string(b[40:48]), reversed(string(b[:8])), reversed(string(b[40:48]))} {
			if shows(text, part) {
				t.Errorf("%s: prime %d shows", where, i)
			}
		}
	}
}

// TestTraceInClear: secrets are kept only if a person says so on a terminal. It is
// also the proof that TestTrace would find them.
func TestTraceInClear(t *testing.T) {
	s := newStudio(t)
	command := []string{"trace", "record", "--" + clearFlag, "@clear.pcapng", "pin", "verify", "--pin-file", "@user.pin"}
	path := filepath.Join(s.dir, "clear.pcapng")
	s.nobody = true
	s.run(command...).want(t, exitUsage, "there is no terminal", "--"+clearFlag)
	s.nobody = false
	s.types("n")
	s.run(command...).want(t, exitFailed, "cancelled")
	if _, err := os.Stat(path); err == nil {
		t.Error("there is a file all the same")
	}
	s.types("y")
	s.must(command...)
	if !strings.Contains(s.screen.String(), "IN CLEAR") {
		t.Errorf("it asked %q", s.screen.String())
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !shows(string(file), factoryUser) {
		t.Error("the PIN is not in the recording")
	}
	if r := s.must("trace", "show", "@clear.pcapng"); shows(r.out, factoryUser) {
		t.Error("the PIN is shown")
	}
}

// TestTraceCodes: the exit code is that of the command, and what can go wrong with
// the file is told.
func TestTraceCodes(t *testing.T) {
	s := newStudio(t)
	s.run("trace", "record", "@wrong.pcapng", "pin", "verify", "--pin-file", "@wrong.pin").want(t, exitPIN, "wrong user PIN", "recorded wrong.pcapng")
	s.run("trace", "record", "@wrong.pcapng", "info").want(t, exitFailed, "file exists")
	s.run("trace", "record", "@version.pcapng", "version").want(t, exitOK, "nothing was recorded", "--backend usb")
	s.run("trace", "record", "@x.pcapng", "trace", "show", "@wrong.pcapng").want(t, exitUsage, "a recording of a recording")
	s.run("trace", "record", "@x.pcapng", "nonsense").want(t, exitUsage, "nonsense")
	s.run("trace", "record", "@only.pcapng").want(t, exitUsage, "requires at least 2 arg")
	s.run("trace", "show", "@none.pcapng").want(t, exitFailed, "no such file")
	s.run("trace", "show", "@letter.txt").want(t, exitFailed, "not a recording of USB")
	s.run("trace", "replay", "@letter.txt").want(t, exitFailed, "not a recording of USB")
	s.run("trace", "replay", "@version.pcapng").want(t, exitFailed, "cannot be replayed")
	s.run("trace", "show", "@version.pcapng").want(t, exitOK, "no smart-card reader in the file")

	file, err := os.ReadFile(filepath.Join(s.dir, "wrong.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	s.file("cut.pcapng", string(file[:len(file)-50]))
	if r := s.run("trace", "show", "@cut.pcapng"); r.code != exitOK || !strings.Contains(r.err, "cut off") || !strings.Contains(r.out, "VERIFY") {
		t.Errorf("cut off: exit code %d, %s", r.code, r.err)
	}
	// The voltage of IccPowerOn is another one.
	s.file("other.pcapng", strings.Replace(string(file), "\x62\x00\x00\x00\x00\x00\x02\x01", "\x62\x00\x00\x00\x00\x00\x02\x02", 1))
	r := s.run("trace", "replay", "@other.pcapng")
	r.want(t, exitFailed, "differs from the recording in 1 place")
	if !strings.Contains(r.out, "recorded 62000000000002020000") {
		t.Errorf("got %s", r.out)
	}
}

// TestTraceJSONKeys keeps the keys of both forms.
func TestTraceJSONKeys(t *testing.T) {
	s := newStudio(t)
	s.must("trace", "record", "@a.pcapng", "pin", "verify", "--pin-file", "@user.pin")
	var all strings.Builder
	for line := range strings.Lines(s.must("trace", "show", "@a.pcapng", "--json").out) {
		var l struct {
			Kind    string
			Command *struct{ Name string }
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Command != nil && l.Command.Name == "VERIFY" || l.Kind == "answered" && strings.Contains(line, `"sw":"9000"`) {
			all.WriteString(keys(t, line) + "\n")
			if l.Kind == "answered" {
				break
			}
		}
	}
	all.WriteString(keys(t, s.must("trace", "replay", "@a.pcapng", "--json").out))
	golden(t, "trace-json-keys", all.String())
}

// TestTraceExamples runs the examples of the help, which build on one another.
func TestTraceExamples(t *testing.T) {
	s := newStudio(t)
	for _, name := range []string{"trace record", "trace show", "trace replay", "trace"} {
		text, err := example(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			words, err := shellWords(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range words {
				if strings.HasSuffix(w, ".pcapng") {
					words[i] = "@" + w
				}
			}
			if strings.Contains(line, "--backend usb") || strings.Contains(line, " serve ") {
				continue // they are for a token that is plugged in
			}
			if name != "trace show" && name != "trace replay" && strings.Contains(line, "record") {
				os.Remove(filepath.Join(s.dir, "problem.pcapng"))
			}
			s.must(words[1:]...)
		}
	}
}

// TestTraceService: the service is recorded like any command.
func TestTraceService(t *testing.T) {
	s := newStudio(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := execute(ctx, nil, func(e *Env) {
		s.edit(e)
		e.Out = writerFunc(func(b []byte) (int, error) { // it says that it serves
			cancel()
			return len(b), nil
		})
	}, "--backend", "virtual", "--virtual-state", filepath.Join(s.dir, "virtual.state"), "--json",
		"trace", "record", filepath.Join(s.dir, "service.pcapng"), "serve", "--socket", filepath.Join(shortDir(t), "s"),
		"--config", filepath.Join(s.dir, "none"))
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	if shown := s.must("trace", "show", "@service.pcapng"); !strings.Contains(shown.out, "ATR 3B 88 01 4B") {
		t.Errorf("got\n%s", shown.out)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
