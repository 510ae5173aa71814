package cli

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kaztoken/firmware/emu"
	"kaztoken/internal/doctor"
	"kaztoken/internal/host"
	"kaztoken/internal/words"
	"kaztoken/usb"
)

// TestEveryFindingHasWords: each is told in all languages, with no value missing.
func TestEveryFindingHasWords(t *testing.T) {
	values := []any{}
	for _, name := range []string{"error", "command", "port", "node", "file", "line", "group", "driver", "program", "socket", "folder", "other", "name"} {
		values = append(values, name, "VALUE")
	}
	for _, name := range []string{"now", "from", "until"} {
		values = append(values, name, deskTime)
	}
	for _, id := range doctor.IDs {
		if _, ok := advice[id]; !ok {
			t.Errorf("no advice for %s", id)
		}
		for _, l := range words.Languages() {
			cause, todo := tellFinding(words.For(l), &doctor.Finding{ID: id, Values: values})
			if cause == "" || todo == "" || strings.ContainsAny(cause+todo, "{}") || strings.HasPrefix(cause, "doctor.") {
				t.Errorf("%s in %s: %q, %q", id, l, cause, todo)
			}
		}
	}
	for id := range advice {
		if !slices.Contains(doctor.IDs, id) {
			t.Errorf("advice for %s, which is never found", id)
		}
	}
}

// TestDoctorCards: what is found on cards, without a try of a PIN.
func TestDoctorCards(t *testing.T) {
	stocked := func(t *testing.T) *desk {
		d := newDesk(t).files()
		d.must("cert", "import", "@demo.p12", "--password-file", "@password", "--pin-file", "@user.pin")
		return d
	}
	block := func(d *desk, pin string) {
		for range 10 {
			d.run("pin", "verify", "--as", pin, "--pin-file", "@wrong.pin", "--last-try")
		}
	}
	for _, c := range []struct {
		name string
		set  func(*testing.T) *desk
		now  time.Time
		exit int
		says []string
	}{
		{"good", stocked, deskTime, exitOK, []string{"all good", "[ok] the clock suits its certificates", "[--] the smart-card service"}},
		{"user PIN blocked", func(t *testing.T) *desk { d := stocked(t); block(d, "user"); return d }, deskTime, exitPIN,
			[]string{"the user PIN is blocked", "kaztoken pin unblock"}},
		{"administrator PIN blocked", func(t *testing.T) *desk { d := stocked(t); block(d, "admin"); return d }, deskTime, exitPIN,
			[]string{"the administrator PIN is blocked"}},
		{"vendor's format", func(t *testing.T) *desk { return newDesk(t, emu.WithVendorFormat()) }, deskTime, exitNotAllowed,
			[]string{"formatted by the vendor's software"}},
		{"clock early", stocked, deskTime.AddDate(-20, 0, 0), exitFailed, []string{"is valid from", "the machine's clock says 2006-02-03"}},
		{"clock late", stocked, deskTime.AddDate(200, 0, 0), exitFailed, []string{"expired on", "today is 2226-02-03"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.set(t)
			before := triesOf(t, d)
			r := examined(d, c.now, "doctor")
			if r.code != c.exit || r.err != "" {
				t.Errorf("exit code %d, want %d; %s", r.code, c.exit, r.err)
			}
			for _, s := range c.says {
				if !strings.Contains(r.out, s) {
					t.Errorf("%q is not in\n%s", s, r.out)
				}
			}
			if after := triesOf(t, d); after != before {
				t.Errorf("tries %s before, %s after", before, after)
			}
		})
	}
}

// examined runs doctor at a time, which no program was made after.
func examined(d *desk, now time.Time, args ...string) result {
	d.t.Helper()
	return execute(d.t.Context(), nil, func(e *Env) {
		d.edit(e)
		e.Now = func() time.Time { return now }
		e.Machine = func(o host.Options) (doctor.Machine, error) {
			m, err := thisMachine(o)
			m.Program = time.Time{}
			return m, err
		}
	}, append([]string{"--backend", "virtual", "--virtual-state", filepath.Join(d.dir, "virtual.state")}, args...)...)
}

// triesOf gives the state of both PINs.
func triesOf(t *testing.T, d *desk) string { return d.run("pin", "status", "--json").out }

// TestDoctorJSON keeps the keys, with a finding and without, and the exit codes of
// what is found on the machine.
func TestDoctorJSON(t *testing.T) {
	d := newDesk(t)
	var j diagnosisJSON
	r := examined(d, deskTime, "doctor", "--json")
	if err := json.Unmarshal([]byte(r.out), &j); err != nil || r.code != exitOK || j.Finding != nil || len(j.Steps) != 9 || len(j.Devices) != 1 {
		t.Errorf("exit code %d, %v: %s", r.code, err, r.out)
	}
	for class, exit := range findingExits {
		if exit == exitOK || exit == exitUsage || exitNames[class] != exit {
			t.Errorf("%v has exit code %d", class, exit)
		}
	}
	r = execute(t.Context(), nil, func(e *Env) {
		e.Machine = func(host.Options) (doctor.Machine, error) {
			m, err := thisMachine(host.Options{Backend: "virtual"})
			m.Devices = func(context.Context) ([]usb.Info, error) { return nil, nil }
			return m, err
		}
	}, "doctor", "--json", "--lang", "kk")
	if err := json.Unmarshal([]byte(r.out), &j); err != nil {
		t.Fatal(err)
	}
	if r.code != exitNoToken || j.Finding == nil || j.Finding.ID != "bus.missing" || j.Finding.Exit != exitNoToken || j.Finding.Text != "no token is plugged in" {
		t.Errorf("exit code %d: %s", r.code, r.out)
	}
	golden(t, "doctor-json-keys", keys(t, r.out))

	// No clock is right that is before the day when the program was made.
	made := programTime()
	if made.IsZero() || time.Since(made) < 0 {
		t.Errorf("this program was made on %v", made)
	}
	early := execute(t.Context(), nil, func(e *Env) {
		d.edit(e)
		e.Now = func() time.Time { return made.AddDate(0, 0, -2) }
	}, "--backend", "virtual", "--virtual-state", filepath.Join(d.dir, "virtual.state"), "doctor")
	if early.code != exitFailed || !strings.Contains(early.out, "the machine's clock is behind") {
		t.Errorf("exit code %d: %s", early.code, early.out)
	}
}

// exitNames are the exit codes as the help of doctor has them.
var exitNames = map[doctor.Class]int{
	doctor.ClassOther: 1, doctor.ClassNoToken: 3, doctor.ClassPIN: 4, doctor.ClassOutOfReach: 5, doctor.ClassNotAllowed: 6,
}

// TestDoctorExamples runs the examples of the help.
func TestDoctorExamples(t *testing.T) {
	text, err := example("doctor")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		args, err := shellWords(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if r := examined(newDesk(t), deskTime, args[1:]...); r.code != exitOK || r.out == "" {
			t.Errorf("%s: exit code %d: %s", line, r.code, r.err)
		}
	}
}

// TestDoctorService: a service that is not there is told apart from one that
// does not answer.
func TestDoctorService(t *testing.T) {
	served := serveInBackground(t, nil)
	served.announced()
	for _, c := range []struct {
		socket string
		want   doctor.ServiceState
		ours   bool
	}{
		{served.socket, doctor.ServiceUp, true},
		{served.socket + ".none", doctor.ServiceNone, false},
	} {
		t.Setenv("PCSCLITE_CSOCK_NAME", c.socket)
		s := askService(t.Context(), host.Options{}, c.socket)
		if s.State != c.want || s.Ours != c.ours || s.Token != (c.want == doctor.ServiceUp) {
			t.Errorf("%v: got %+v", c.want, s)
		}
	}
}
