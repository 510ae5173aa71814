package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"kaztoken/ccid"
	"kaztoken/internal/host"
	"kaztoken/udev"
	"kaztoken/usb"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// result is what a run of the program left behind.
type result struct {
	code     int
	out, err string
}

// homeless is where the virtual token of no test is.
var homeless string

func TestMain(m *testing.M) {
	var err error
	if homeless, err = os.MkdirTemp("", "kaztoken-cli"); err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", homeless)
	// Nor do the settings of who runs the tests count (os.UserConfigDir).
	os.Setenv("XDG_CONFIG_HOME", homeless)
	// No test finds the smart-card service of this machine.
	os.Setenv("PCSCLITE_CSOCK_NAME", filepath.Join(homeless, "pcscd.comm"))
	// Parallel tests wait for readers that stay silent, not for the processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(homeless)
	os.Exit(code)
}

// run runs the program with the ways to a token that edit leaves it. Each test
// has a virtual token of its own, which all its runs share.
func run(t *testing.T, ctx context.Context, in io.Reader, edit func(*Env), args ...string) result {
	t.Helper()
	if os.Getenv("XDG_STATE_HOME") == homeless {
		t.Setenv("XDG_STATE_HOME", t.TempDir())
	}
	return execute(ctx, in, edit, args...)
}

// execute is run for tests that name the virtual token's file, and so may run in
// parallel.
func execute(ctx context.Context, in io.Reader, edit func(*Env), args ...string) result {
	var out, errs bytes.Buffer
	env := System("v1.2.3")
	env.In, env.Out, env.Err = in, &out, &errs
	env.Terminal, env.OutTerminal, env.ErrTerminal = false, false, false
	env.Console = func() (Console, error) { return nil, errors.New("no terminal in a test") }
	env.Getenv = func(string) string { return "" }
	if edit != nil {
		edit(&env)
	}
	code := Main(ctx, env, args)
	return result{code, out.String(), errs.String()}
}

// virtual runs a command on the virtual token.
func virtual(t *testing.T, in string, args ...string) result {
	t.Helper()
	return run(t, t.Context(), strings.NewReader(in), nil, append([]string{"--backend", "virtual"}, args...)...)
}

func (r result) want(t *testing.T, code int, errs ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d; standard error: %s", r.code, code, r.err)
	}
	for _, e := range errs {
		if !strings.Contains(r.err, e) {
			t.Errorf("standard error %q lacks %q", r.err, e)
		}
	}
	if len(errs) == 0 && r.err != "" {
		t.Errorf("standard error %q, want nothing", r.err)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// keys lists every key of a JSON value with its path, and the kind of value.
func keys(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	var lines []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(path+"."+k, v[k])
			}
		case []any:
			if len(v) == 0 {
				lines = append(lines, path+"[]")
				return
			}
			walk(path+"[]", v[0])
		default:
			lines = append(lines, fmt.Sprintf("%s %T", path, v))
		}
	}
	walk("", v)
	return strings.Join(lines, "\n") + "\n"
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name, in string
		args     []string
	}{
		{"list", "", []string{"list"}},
		{"list-json", "", []string{"list", "--json"}},
		{"info", "", []string{"info"}},
		{"info-reader", "", []string{"info", "--reader"}},
		{"info-json", "", []string{"info", "--json"}},
		{"apdu", "", []string{"apdu", "00CA018100", "reset", "00:20:00:02", "80", "EC", "05", "01", "21", "00A4000002ABCD"}},
		{"apdu-stdin", "# the serial number\n\n00 ca 01 81 00  # here\nRESET\n  80:ec:00:00:03:01:02:03:05\r\n00:20:00:02:08:31:32:33:34:35:36:37:38\n00 24 00 02 02 31 32\n", []string{"apdu"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := virtual(t, c.in, c.args...)
			r.want(t, exitOK)
			golden(t, c.name, r.out)
		})
	}
}

// TestHelpGolden keeps the text that users read, and scripts rely on for the
// exit codes, under review.
func TestHelpGolden(t *testing.T) {
	for _, name := range commandNames() {
		t.Run("help "+name, func(t *testing.T) {
			args := append(strings.Fields(name), "--help")
			r := run(t, t.Context(), nil, nil, args...)
			r.want(t, exitOK)
			golden(t, strings.TrimSuffix("help-"+strings.ReplaceAll(name, " ", "-"), "-"), withoutDrivers(r.out))
		})
	}
}

// withoutDrivers replaces the list of USB drivers, which depends on the build.
func withoutDrivers(help string) string {
	for _, word := range []string{"default", "по умолчанию", "әдепкі"} {
		for _, d := range [][]string{{"usbfs", "libusb"}, {"usbfs"}} {
			help = strings.ReplaceAll(help, fmt.Sprintf("%s (%s %q)", strings.Join(d, ", "), word, d[0]), "DRIVERS")
		}
	}
	return help
}

// commandNames lists all commands that are ours, each as its words below
// kaztoken; "" is the root.
func commandNames() []string {
	var names []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		names = append(names, strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "kaztoken"), " "))
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{Env: System("")}).root())
	return names
}

func TestEveryCommandHasExamples(t *testing.T) {
	a := &app{Env: System("")}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.HasParent() && c.RunE == nil {
			t.Errorf("%s does nothing", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.root())
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"lits"}, "list"}, // with a suggestion
		{[]string{"--nonsense"}, "--nonsense"},
		{[]string{"list", "--nonsense"}, "kaztoken list --help"},
		{[]string{"list", "extra"}, "extra"},
		{[]string{"info", "--json=perhaps"}, "perhaps"},
		{[]string{"list", "--backend", "pigeon"}, "auto, usb, pcsc, virtual"},
		{[]string{"list", "--devices", "mice"}, "kaztoken, rutoken, all"},
		{[]string{"list", "--usb-driver", "winusb"}, "winusb"},
		{[]string{"list", "--log-level", "loud"}, "trace"},
		{[]string{"virtual"}, "--usbip"},
		{[]string{"virtual", "--usbip", "127.0.0.1:0", "--profile", "none"}, "two-slots"},
		{[]string{"udev-rules", "--group", "no group"}, "no group"},
		{[]string{"apdu", "--backend", "virtual", "00A4"}, "argument 1: malformed APDU"},
		{[]string{"apdu", "--backend", "virtual", "00CA018100", "00A40000 05 3F00"}, "argument 2: malformed APDU: Lc 5"},
		{[]string{"apdu", "--backend", "virtual", "xyz"}, "column 1"},
		{[]string{"apdu", "--backend", "virtual", "0020000204 31323334"}, "standard input"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := run(t, t.Context(), nil, nil, c.args...)
			r.want(t, exitUsage, c.text, "kaztoken: ")
			if r.out != "" {
				t.Errorf("standard output %q, want nothing", r.out)
			}
		})
	}
}

// broken leaves the ways to a token with one error at their end.
func broken(err error) func(*Env) {
	return func(e *Env) {
		e.Find = func(context.Context, host.Options) ([]host.Candidate, error) { return nil, err }
		e.Open = func(context.Context, host.Options) (*host.Token, error) { return nil, err }
		e.Follow = func(host.Options) (*host.Supervisor, error) { return nil, err }
	}
}

func TestExitCodes(t *testing.T) {
	hinted := func(err error) error { return &host.HintError{Err: err, Hint: "do this"} }
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("anything"), exitFailed},
		{fmt.Errorf("x: %w", ccid.ErrFaulty), exitFailed},
		{fmt.Errorf("x: %w", ccid.ErrFaulty), exitFailed},
		{hinted(host.ErrNoToken), exitNoToken},
		{fmt.Errorf("slot 0: %w", ccid.ErrNoCard), exitNoToken},
		{hinted(fmt.Errorf("x: %w", usb.ErrAccess)), exitOutOfReach},
		{hinted(fmt.Errorf("x: %w", usb.ErrBusy)), exitOutOfReach},
		{hinted(&host.AmbiguousError{Candidates: make([]host.Candidate, 2)}), exitUsage},
		{&host.DriverError{Name: "libusb", Have: []string{"usbfs"}}, exitUsage},
	} {
		for _, args := range [][]string{{"info"}, {"apdu", "00CA018100"}, {"list"}} {
			r := run(t, t.Context(), nil, broken(c.err), args...)
			r.want(t, c.want, c.err.Error())
			if hint := host.Hint(c.err); hint != "" && !strings.HasSuffix(r.err, "\nhint: "+hint+"\n") {
				t.Errorf("%v: %q lacks the hint", args, r.err)
			}
		}
	}
	r := run(t, t.Context(), nil, broken(host.ErrNoToken), "list", "--json")
	r.want(t, exitNoToken, "no token")
	if r.out != "[]\n" {
		t.Errorf("list --json without a token prints %q, want an empty list", r.out)
	}
}

func TestTokenSelector(t *testing.T) {
	virtual(t, "", "list", "--token", "0").want(t, exitOK)
	virtual(t, "", "info", "--token", "kaztoken").want(t, exitOK)
	virtual(t, "", "apdu", "--token", "5", "00CA018100").want(t, exitNoToken, `"5": no token`, "hint: there is:", "KAZTOKEN 00 00")
	virtual(t, "", "list", "--token", "5").want(t, exitNoToken, "no token")
}

func TestListAccess(t *testing.T) {
	dev := usb.Info{Bus: 1, Addr: 4, Port: "1-1", Vendor: 0x0a89, Product: 0x0035, ProductName: "KAZTOKEN", Serial: "7"}
	edit := func(e *Env) {
		e.Find = func(context.Context, host.Options) ([]host.Candidate, error) {
			return []host.Candidate{
				{Name: "A 00 00", Device: dev, Denied: true},
				{Name: "B 01 00", Device: dev, Holders: []string{"pcscd (pid 812)"}},
			}, nil
		}
	}
	r := run(t, t.Context(), nil, edit, "list")
	r.want(t, exitOK)
	want := "NAME     USB ID     PORT  ADDRESS  ACCESS\n" +
		"A 00 00  0a89:0035  1-1   1:4      no permission\n" +
		"B 01 00  0a89:0035  1-1   1:4      open in pcscd (pid 812)\n"
	if diff := cmp.Diff(want, r.out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r = run(t, t.Context(), nil, edit, "__complete", "list", "--token", "")
	if !strings.Contains(r.out, "7\tA 00 00") {
		t.Errorf("completion of --token: %q", r.out)
	}
}

// TestJSONKeys holds the names and types that scripts rely on.
func TestJSONKeys(t *testing.T) {
	for _, name := range []string{"list", "info", "apdu 00CA018100", "apdu reset", "version"} {
		t.Run(name, func(t *testing.T) {
			r := virtual(t, "", append(strings.Fields(name), "--json")...)
			r.want(t, exitOK)
			golden(t, "keys-"+strings.Fields(name)[len(strings.Fields(name))-1], keys(t, r.out))
		})
	}
}

func TestAPDUJSON(t *testing.T) {
	r := virtual(t, "00CA018100\nreset\n00200002 08 3132333435363738\n00A4000002ABCD\n", "apdu", "--json")
	r.want(t, exitOK)
	var got []apduJSON
	d := json.NewDecoder(strings.NewReader(r.out))
	for d.More() {
		var l apduJSON
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		l.Microseconds = 0
		got = append(got, l)
	}
	want := []apduJSON{
		{Command: "00CA018100", Data: "0000000032D18A58", SW: "9000", Meaning: "success"},
		{},
		{Command: "00200002", Hidden: 9, SW: "9000", Meaning: "success"},
		{Command: "00A4000002ABCD", SW: "6A82", Meaning: "file or application not found"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Count(r.out, "\n") != len(want) {
		t.Errorf("%q is not one object per line", r.out)
	}
}

func TestAPDUScriptStops(t *testing.T) {
	// What comes before the mistake has been sent, what comes after is not.
	r := virtual(t, "00CA018100\n00CA0\n80EC000001\n", "apdu")
	r.want(t, exitUsage, "line 2: half a byte at the end")
	if strings.Count(r.out, ">") != 1 {
		t.Errorf("sent %q", r.out)
	}
	// A mistake in the arguments keeps all of them from being sent.
	r = virtual(t, "", "apdu", "00CA018100", "00CA0")
	r.want(t, exitUsage, "argument 2")
	if r.out != "" {
		t.Errorf("sent %q", r.out)
	}
	// An APDU that this token cannot take is not sent either.
	r = virtual(t, "", "apdu", "80EC0000 00012C"+strings.Repeat("55", 300))
	r.want(t, exitFailed, "not supported", "command chaining")
	// The digits of a mistyped VERIFY are not repeated.
	r = virtual(t, "0020000208313233343536373\n", "apdu")
	r.want(t, exitUsage, "line 1")
	if strings.Contains(r.err+r.out, "3132") {
		t.Errorf("the PIN is shown: %q", r.err)
	}
}

// slowInput is a standard input on which nothing comes.
type slowInput struct{ closed chan struct{} }

func (s slowInput) Read([]byte) (int, error) { <-s.closed; return 0, io.EOF }

func TestAPDUInterrupted(t *testing.T) {
	in := slowInput{make(chan struct{})}
	defer close(in.closed)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result)
	go func() { done <- run(t, ctx, in, nil, "--backend", "virtual", "apdu") }()
	cancel()
	r := <-done
	r.want(t, exitFailed, "kaztoken: interrupted")
	if r.out != "" {
		t.Errorf("standard output %q", r.out)
	}
}

func TestAPDUTerminal(t *testing.T) {
	r := run(t, t.Context(), strings.NewReader("00CA018100\n"), func(e *Env) { e.Terminal = true }, "--backend", "virtual", "apdu")
	r.want(t, exitOK, "one APDU per line")
}

// lines hands each line that is written to it to a channel.
type lines struct{ c chan string }

func (l lines) Write(p []byte) (int, error) {
	l.c <- string(p)
	return len(p), nil
}

func TestListWatch(t *testing.T) {
	for _, form := range []string{"text", "json"} {
		t.Run(form, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := lines{make(chan string, 1)}
			done := make(chan result)
			args := []string{"--backend", "virtual", "list", "--watch"}
			if form == "json" {
				args = append(args, "--json")
			}
			go func() { done <- run(t, ctx, nil, func(e *Env) { e.Out = out }, args...) }()
			line := <-out.c
			if form == "json" {
				golden(t, "keys-watch", keys(t, line))
			} else if !strings.Contains(line, "arrived   DigiFlow LLP. KAZTOKEN 00, slot 0 T=1, ATR 3B88014B415A544F4B454E82") {
				t.Errorf("line %q", line)
			}
			cancel()
			r := <-done
			if r.code != exitOK {
				t.Errorf("interrupted: exit code %d, %s", r.code, r.err)
			}
		})
	}
}

func TestPrintEvent(t *testing.T) {
	at := time.Date(2024, 5, 6, 7, 8, 9, 123e6, time.Local)
	dev := usb.Info{Bus: 1, Addr: 4, Port: "1-1", Vendor: 0x0a89, Product: 0x0035}
	for _, c := range []struct {
		ev         host.Event
		text, json string
	}{
		{
			host.Event{Kind: host.Removed, Name: "K 00", Device: dev, Reader: &host.Reader{Driver: "usbfs"}, Err: usb.ErrGone,
				Reported: at.Add(-50 * time.Millisecond), Time: at},
			"07:08:09.123  removed   K 00, port 1-1, 50 ms after the kernel's report: USB device is gone\n",
			`"driver":"usbfs"`,
		},
		{
			host.Event{Kind: host.Failed, Name: "K 00", Device: dev, Err: &host.HintError{Err: usb.ErrAccess, Hint: "do this"}, Time: at},
			"07:08:09.123  failed    K 00, port 1-1: no permission for the USB device\n              hint: do this\n",
			`"error":"no permission for the USB device","hint":"do this"`,
		},
		{host.Event{Kind: host.Overrun, Time: at}, "07:08:09.123  overrun   \n", `"event":"overrun"`},
	} {
		var out bytes.Buffer
		a := &app{Env: Env{Out: &out}}
		if err := a.printEvent(c.ev); err != nil || out.String() != c.text {
			t.Errorf("%v: %q, %v, want %q", c.ev.Kind, out.String(), err, c.text)
		}
		out.Reset()
		a.json = true
		if err := a.printEvent(c.ev); err != nil || !strings.Contains(out.String(), c.json) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%v: %s, %v, want %s in one line", c.ev.Kind, out.String(), err, c.json)
		}
	}
}

func TestRules(t *testing.T) {
	r := run(t, t.Context(), nil, nil, "udev-rules")
	r.want(t, exitOK)
	want, err := udev.Rules(udev.DefaultRules())
	if err != nil || r.out != string(want) {
		t.Errorf("prints %q, %v", r.out, err)
	}
	r = run(t, t.Context(), nil, nil, "udev-rules", "--group", "plugdev", "--pcsclite-ignore")
	r.want(t, exitOK)
	if !strings.Contains(r.out, `"plugdev"`) || !strings.Contains(r.out, "PCSCLITE_IGNORE") {
		t.Errorf("prints %q", r.out)
	}
}

func TestVersion(t *testing.T) {
	r := run(t, t.Context(), nil, nil, "version")
	r.want(t, exitOK)
	if !strings.HasPrefix(r.out, "kaztoken v1.2.3 (go") {
		t.Errorf("prints %q", r.out)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := run(t, t.Context(), nil, nil, "completion", shell)
		r.want(t, exitOK)
		if !strings.Contains(r.out, "kaztoken") {
			t.Errorf("completion %s prints %q", shell, r.out)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "--backend", ""}, "virtual"},
		{[]string{"virtual", "--profile", "two"}, "two-slots"},
		{[]string{"list", "--backend", "virtual", "--token", ""}, "0\tDigiFlow LLP. KAZTOKEN 00 00"},
		{[]string{"ap"}, "apdu"},
		{[]string{"apdu", "re"}, "reset"},
		{[]string{"cert", "export", "--la"}, "--lang\tLANGUAGE of messages"},
	} {
		r := run(t, t.Context(), nil, nil, append([]string{"__complete"}, c.args...)...)
		if !strings.Contains(r.out, c.want) {
			t.Errorf("%v completes to %q, want %s", c.args, r.out, c.want)
		}
	}
}

// TestNoPINOnAnyStream runs a PIN flow at trace level and looks for the PIN.
func TestNoPINOnAnyStream(t *testing.T) {
	for _, form := range []string{"--json=false", "--json"} {
		r := virtual(t, "00 20 00 02 08 31 32 33 34 35 36 37 38\n10 24 00 02 10 31 32 33 34 35 36 37 38 38 37 36 35 34 33 32 31\n",
			"apdu", "--log-level", "trace", form)
		if r.code != exitOK || !strings.Contains(r.err, "ins=20") {
			t.Fatalf("exit code %d: %s", r.code, r.err)
		}
		for _, pin := range []string{"12345678", "3132333435", "31 32 33 34", "49 50 51 52", "3837", "38 37 36"} {
			if strings.Contains(r.out+r.err, pin) {
				t.Errorf("the output shows %q", pin)
			}
		}
	}
}
