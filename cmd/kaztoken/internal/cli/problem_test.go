package cli

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/certfile"
	"kaztoken/internal/host"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/registration"
	"kaztoken/internal/settings"
	"kaztoken/internal/systemd"
	"kaztoken/internal/trace"
	"kaztoken/internal/trace/replay"
	"kaztoken/internal/words"
	"kaztoken/udev"
	"kaztoken/usb"
)

// mistakes has every kind of error, with its exit code.
var mistakes = []struct {
	name string
	err  error
	exit int
}{
	{"interrupted", fmt.Errorf("slot 0: %w", context.Canceled), exitFailed},
	{"interrupted at work", fmt.Errorf("GENERATE: %w: %w", ccid.ErrOutcomeUnknown, context.Canceled), exitFailed},

	{"no token", &host.HintError{Err: host.ErrNoToken, Hint: "hint.plug"}, exitNoToken},
	{"no such token", &host.HintError{Err: fmt.Errorf("%q: %w", "7", host.ErrNoToken), Hint: "hint.there", Values: []any{"list", []string{"K 00", "K 01"}}}, exitNoToken},
	{"no card", fmt.Errorf("slot 0: %w", ccid.ErrNoCard), exitNoToken},
	{"gone", fmt.Errorf("VERIFY: %w", usb.ErrGone), exitNoToken},
	{"gone at work", fmt.Errorf("VERIFY: %w: %w", ccid.ErrOutcomeUnknown, usb.ErrGone), exitNoToken},

	{"wrong PIN", fmt.Errorf("x: %w", &firmware.PINError{Role: firmware.User, Left: 2, Err: firmware.ErrPINWrong}), exitPIN},
	{"wrong PIN, tries unknown", &firmware.PINError{Role: firmware.Admin, Left: -1, Err: firmware.ErrPINWrong}, exitPIN},
	{"last wrong PIN", &firmware.PINError{Role: firmware.User, Blocked: true, Err: firmware.ErrPINWrong}, exitPIN},
	{"last wrong PIN of the administrator", &firmware.PINError{Role: firmware.Admin, Blocked: true, Err: firmware.ErrPINWrong}, exitPIN},
	{"blocked", &firmware.PINError{Role: firmware.User, Blocked: true, Err: firmware.ErrPINBlocked}, exitPIN},
	{"administrator blocked", &firmware.PINError{Role: firmware.Admin, Blocked: true, Err: firmware.ErrPINBlocked}, exitPIN},
	{"last try", &firmware.PINError{Role: firmware.User, Left: 1, Err: firmware.ErrLastTry}, exitPIN},
	{"log-in disturbed", firmware.ErrLoginDisturbed, exitFailed},

	{"PIN too short", &firmware.PINLengthError{Role: firmware.User, Got: 1, Min: 6, Max: 32}, exitNotAllowed},
	{"policy", &firmware.PolicyError{Role: firmware.Admin, Policy: firmware.PolicyUser}, exitNotAllowed},
	{"policy unknown", &firmware.PolicyError{Role: firmware.User}, exitNotAllowed},
	{"role", &firmware.RoleError{Op: firmware.OpUnblock, Need: firmware.Admin}, exitNotAllowed},
	{"any role", &firmware.RoleError{Op: firmware.OpRename}, exitNotAllowed},
	{"vendor", &firmware.StateError{Op: firmware.OpList, State: firmware.StateVendor}, exitNotAllowed},
	{"half formatted", &firmware.StateError{Op: firmware.OpList, State: firmware.StateHalf}, exitNotAllowed},
	{"wiped", &firmware.StateError{Op: firmware.OpList, State: firmware.StateWiped}, exitNotAllowed},
	{"no room", &firmware.StatusError{SW: iso7816.SWNoSpace, INS: 0xE0}, exitNotAllowed},
	{"no room in a directory", fmt.Errorf("CDF: %w", firmware.ErrNoSpace), exitNotAllowed},
	{"not supported", fmt.Errorf("GOST key: %w", firmware.ErrUnsupported), exitNotAllowed},
	{"no rights", &firmware.StatusError{SW: iso7816.SWSecurityStatus, INS: 0xD6}, exitNotAllowed},

	{"not there", fmt.Errorf("key 42: %w", firmware.ErrNotFound), exitFailed},
	{"no such file", &firmware.StatusError{SW: iso7816.SWNotFound, INS: 0xA4}, exitFailed},
	{"there already", fmt.Errorf("key 42: %w", firmware.ErrExists), exitFailed},
	{"nothing called so", &nothingError{"x", certList}, exitFailed},
	{"several called so", &severalError{"x", []string{"x1, ID 42", "x2, ID 43"}}, exitUsage},
	{"left over", &leftoversError{2}, exitFailed},
	{"damaged directory", fmt.Errorf("CDF: %w", firmware.ErrDirectory), exitFailed},
	{"cannot decrypt", fmt.Errorf("decrypt: %w", rsa.ErrDecryption), exitFailed},

	{"file password", fmt.Errorf("x.p12: %w", certfile.ErrPassword), exitFailed},
	{"file kind", fmt.Errorf("x.p12: %w", certfile.ErrUnknownFormat), exitFailed},
	{"file damaged", fmt.Errorf("x.p12: %w", certfile.ErrMalformed), exitFailed},
	{"file too large", fmt.Errorf("x.p12: %w", certfile.ErrTooLarge), exitFailed},
	{"file key", fmt.Errorf("x.p12: %w", &certfile.KeyTypeError{Algorithm: []int{1, 2, 398, 3, 10, 1, 1, 1, 1}}), exitFailed},
	{"file key mismatch", fmt.Errorf("x.p12: %w", certfile.ErrKeyMismatch), exitFailed},
	{"file with several keys", fmt.Errorf("x.p12: %w", certfile.ErrSeveralKeys), exitFailed},
	{"file encryption outdated", fmt.Errorf("x.pem: %w", certfile.ErrEncryptedKey), exitFailed},
	{"file too much work", fmt.Errorf("x.p12: %w", certfile.ErrTooMuchWork), exitFailed},
	{"file encryption unknown", fmt.Errorf("x.p12: %w", &certfile.UnsupportedError{Part: "encryption", OID: []int{1, 2, 3}}), exitFailed},

	{"name empty", &firmware.NameError{Violation: firmware.NameEmpty}, exitUsage},
	{"name too long", &firmware.NameError{Max: 32, Violation: firmware.NameTooLong}, exitUsage},
	{"name no text", &firmware.NameError{Violation: firmware.NameNoText}, exitUsage},
	{"name with a space", &firmware.NameError{Violation: firmware.NameReserved}, exitUsage},
	{"option of the token", &firmware.OptionError{Option: "RSA bits", Value: 1000, Min: 1024, Max: 4096}, exitUsage},
	{"ambiguous", &host.HintError{Err: &host.AmbiguousError{Candidates: []host.Candidate{{Name: "K 00"}, {Name: "K 01"}}}, Hint: "hint.choose"}, exitUsage},
	{"service broken", fmt.Errorf("%w: no answer for 10s", host.ErrService), exitFailed},
	{"service denies", &host.HintError{Err: fmt.Errorf("connect: %w", wire.SecurityViolation), Hint: "hint.service.denied"}, exitOutOfReach},
	{"no driver", &host.DriverError{Name: "libusb", Have: []string{"usbfs"}}, exitUsage},
	{"option", &host.OptionError{Option: "lang", Value: "de", Want: []string{"kk", "ru", "en"}}, exitUsage},
	{"no terminal", &noTerminalError{hint: "hint.yes"}, exitUsage},
	{"no terminal for a PIN", &noTerminalError{"hint.secret", []any{"file", "--pin-file FILE", "fd", "--pin-fd N"}}, exitUsage},
	{"no PIN", errNoSecret, exitUsage},
	{"PINs differ", errDiffer, exitUsage},
	{"PIN endless", errTooLong, exitUsage},
	{"usage", &usageError{errors.New("unknown flag: --x")}, exitUsage},
	{"cancelled", errCancelled, exitFailed},
	{"state file", &host.HintError{Err: fmt.Errorf("x.state: %w", emu.ErrState), Hint: "hint.state.bad", Values: []any{"file", "x.state"}}, exitFailed},
	{"settings", &settings.Error{File: "config.toml", Line: 7, Key: "pin.min_length", Got: "3", Want: "want a whole number from 6 to 32"}, exitFailed},
	{"new PIN too short", &host.HintError{Err: &pinpolicy.Error{Length: 3, MinLength: 6}, Hint: "hint.settings", Values: []any{"file", "config.toml"}}, exitNotAllowed},
	{"new PIN default", &pinpolicy.Error{Weakness: pinpolicy.Default}, exitNotAllowed},
	{"new PIN repeated", &pinpolicy.Error{Weakness: pinpolicy.Repeated}, exitNotAllowed},
	{"new PIN in sequence", &pinpolicy.Error{Weakness: pinpolicy.Sequence}, exitNotAllowed},
	{"new PIN of one kind", &pinpolicy.Error{Weakness: pinpolicy.OneKind}, exitNotAllowed},
	{"file", &fileError{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}}, exitFailed},

	{"no recording", fmt.Errorf("x.pcapng: %w: 7 bytes", trace.ErrRecording), exitFailed},
	{"not repeatable", fmt.Errorf("x.pcapng: %w: ICCD version A", replay.ErrNotRepeatable), exitFailed},
	{"replayed otherwise", &differsError{2}, exitFailed},

	{"no permission", &host.HintError{Err: fmt.Errorf("1-1: %w", usb.ErrAccess), Hint: "hint.udev", Values: []any{"command", "tee rule", "group", "usermod"}}, exitOutOfReach},
	{"served by pcscd", &host.HintError{Err: &host.ServedError{Socket: "/run/s", Holder: udev.Holder{PID: 812, Name: "pcscd"}, Version: wire.Version{Major: 4, Minor: 4}}, Hint: "hint.served", Values: []any{"command", "stop pcscd", "option", "--socket PATH"}}, exitOutOfReach},
	{"served by some program", &host.HintError{Err: &host.ServedError{Socket: "/run/s", UID: -1}, Hint: "hint.socket", Values: []any{"option", "--socket PATH"}}, exitOutOfReach},
	{"no service", &host.HintError{Err: &host.NoServiceError{Socket: "/run/s", Err: fs.ErrNotExist}, Hint: "hint.serve", Values: []any{"command", "kaztoken serve", "option", "--socket PATH"}}, exitFailed},
	{"another service", &host.NoServiceError{Socket: "/run/s", Err: &host.ServedError{Socket: "/run/s", Holder: udev.Holder{PID: 812, Name: "pcscd"}}}, exitFailed},
	{"not told", &host.NoServiceError{Socket: "/run/s", Err: fs.ErrPermission}, exitFailed},
	{"no module", fmt.Errorf("%w: no libkaztoken-pkcs11.so in /usr/lib/pkcs11", registration.ErrNoModule), exitFailed},
	{"no good socket", fmt.Errorf("%w: 2 sockets were passed, want one", systemd.ErrActivation), exitFailed},
	{"held", &host.HintError{Err: fmt.Errorf("1-1: held by pcscd (pid 812): %w", usb.ErrBusy), Hint: "hint.stop", Values: []any{"command", "stop pcscd"}}, exitOutOfReach},
	{"held by some program", &host.HintError{Err: fmt.Errorf("1-1: held by x: %w", usb.ErrBusy), Hint: "hint.end"}, exitOutOfReach},
	{"held by nobody knows whom", &host.HintError{Err: fmt.Errorf("1-1: %w", usb.ErrBusy), Hint: "hint.who", Values: []any{"fuser", "fuser x", "command", "stop pcscd"}}, exitOutOfReach},
	{"outcome unknown", fmt.Errorf("UPDATE BINARY: %w", ccid.ErrOutcomeUnknown), exitFailed},
	{"mute", fmt.Errorf("slot 0: %w", ccid.ErrMute), exitFailed},
	{"no protocol", fmt.Errorf("slot 0: %w", ccid.ErrProtocolMismatch), exitFailed},
	{"reader cannot", &host.HintError{Err: fmt.Errorf("slot 0: %w", ccid.ErrNotSupported), Hint: "hint.chain", Values: []any{"max", 261}}, exitFailed},
	{"card reset", fmt.Errorf("slot 0: %w", ccid.ErrCardReset), exitFailed},
	{"token reset", fmt.Errorf("take the token for one operation: %w", firmware.ErrReset), exitFailed},
	{"protocol", fmt.Errorf("slot 0: %w", ccid.ErrProtocol), exitFailed},
	{"faulty", fmt.Errorf("slot 0: %w", ccid.ErrFaulty), exitFailed},
	{"answer", fmt.Errorf("SELECT: %w", firmware.ErrAnswer), exitFailed},
	{"refused", &firmware.StatusError{SW: iso7816.SWConditions, INS: 0x46}, exitFailed},
	{"file that nobody expected", fmt.Errorf("settings: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}), exitFailed},
	{"file that cannot take a name", &os.LinkError{Op: "rename", Old: "x", New: "y", Err: fs.ErrPermission}, exitFailed},
	{"anything", errors.New("the moon is full\x1b[2J"), exitFailed},
}

// TestProblems compares what is said of every kind of error, in all languages.
func TestProblems(t *testing.T) {
	var b strings.Builder
	met := make([]bool, len(problems))
	for _, m := range mistakes {
		if got := exitCode(m.err); got != m.exit {
			t.Errorf("%s: exit code %d, want %d", m.name, got, m.exit)
		}
		for i, p := range problems {
			if p.is(m.err) {
				met[i] = true
				break
			}
		}
		fmt.Fprintf(&b, "## %s = %d\n", m.name, m.exit)
		for _, lang := range words.Languages() {
			var out bytes.Buffer
			a := &app{Env: Env{Err: &out, Getenv: func(string) string { return "" }}, lang: string(lang)}
			a.complain(m.err, "kaztoken x")
			if strings.ContainsAny(out.String(), "{}\x1b") {
				t.Errorf("%s in %s: %q", m.name, lang, out.String())
			}
			b.WriteString(out.String())
		}
	}
	for i, ok := range met {
		if !ok {
			t.Errorf("no error of this test is of row %d, %s", i, problems[i].message)
		}
	}
	golden(t, "problems", b.String())
	if exitCode(nil) != exitOK {
		t.Error("no error has an exit code")
	}
}

// TestProblemsAreReported: what the table says is what the program does.
func TestProblemsAreReported(t *testing.T) {
	for _, m := range mistakes {
		r := run(t, t.Context(), nil, broken(m.err), "pin", "status")
		if r.code != m.exit || r.out != "" || !strings.HasPrefix(r.err, "kaztoken: ") {
			t.Errorf("%s: exit code %d, output %q, error %q", m.name, r.code, r.out, r.err)
		}
	}
}
