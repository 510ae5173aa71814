//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
)

// A stack is a smart-card service with its drivers, and the token it serves.
type stack struct {
	name    string
	profile ccidsim.Profile
	// start runs the service until the end of the test, or until the returned
	// function is called, with nobody beside it. It returns once programs can
	// connect.
	start func(t testing.TB) (process *exec.Cmd, stop func())
}

// Stock clients have to see the same through both. The stock driver lists the
// sister's product id only.
var (
	stockStack = stack{"pcscd", ccidsim.RutokenECP, func(t testing.TB) (*exec.Cmd, func()) {
		return startDaemon(t, "/usr/sbin/pcscd", "--foreground", "--config", onlyUSB)
	}}
	ourStack = stack{"kaztoken", ccidsim.KAZTOKEN, func(t testing.TB) (*exec.Cmd, func()) {
		return startDaemon(t, "./kaztoken", "serve", "--socket", host.DefaultSocket)
	}}
)

// startDaemon runs a smart-card service on the default socket until the end of the
// test, or until the returned function is called.
func startDaemon(t testing.TB, program string, args ...string) (*exec.Cmd, func()) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(answerLimit, func() { cmd.Process.Kill() })
		defer killed.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", program, err)
		}
		if t.Failed() {
			lines := strings.SplitAfter(log.String(), "\n")
			t.Logf("%s said last:\n%s", program, strings.Join(lines[max(0, len(lines)-20):], ""))
		}
		if _, err := os.Lstat(host.DefaultSocket); err == nil {
			t.Errorf("%s left its socket behind", program)
		}
	}
	t.Cleanup(stop)
	await(t, program+" to listen", func() (struct{}, bool) {
		conn, err := net.Dial("unix", host.DefaultSocket)
		if err != nil {
			return struct{}{}, false
		}
		conn.Close()
		return struct{}{}, true
	})
	return cmd, stop
}

// A transcript is what programs printed, by the name of what they did.
type transcript struct {
	names []string
	texts map[string]string
}

func (r *transcript) add(name, text string) {
	if r.texts == nil {
		r.texts = make(map[string]string)
	}
	r.names = append(r.names, name)
	r.texts[name] = text
}

// compare wants the same of the stack of that name as of the stock one, line by
// line.
func (r *transcript) compare(t *testing.T, name string, stock *transcript) {
	t.Helper()
	if fmt.Sprint(r.names) != fmt.Sprint(stock.names) {
		t.Fatalf("%s did %v, the stock one %v", name, r.names, stock.names)
	}
	for _, program := range r.names {
		ours, theirs := strings.Split(r.texts[program], "\n"), strings.Split(stock.texts[program], "\n")
		for i := range max(len(ours), len(theirs)) {
			line := func(lines []string) string {
				if i < len(lines) {
					return lines[i]
				}
				return "(nothing)"
			}
			if line(ours) != line(theirs) {
				t.Errorf("%s, line %d:\n  pcscd     %s\n  %-9s %s", program, i+1, line(theirs), name, line(ours))
			}
		}
	}
}

// bothStacks runs a story with the token on the stock stack, on ours, and on the
// stock one with our driver, and compares what its programs printed.
func bothStacks(t *testing.T, story func(t *testing.T, k *token, r *transcript)) {
	oneCPU(t)
	told := make(map[string]*transcript)
	for _, s := range []stack{stockStack, ourStack, ifdStack} {
		t.Run(s.name, func(t *testing.T) {
			_, stop := s.start(t)
			defer stop()
			r := new(transcript)
			story(t, newToken(t, s.profile), r)
			told[s.name] = r
		})
	}
	if t.Failed() {
		return
	}
	for _, s := range []stack{ourStack, ifdStack} {
		ours, stock := told[s.name], told[stockStack.name]
		lines := 0
		for _, text := range ours.texts {
			lines += strings.Count(text, "\n")
		}
		t.Logf("%s: %d lines of %d programs compared", s.name, lines, len(ours.names))
		ours.compare(t, s.name, stock)
	}
}

// What programs print of a name or a time is not compared. The spinner of
// pcsc_scan turns as long as it waits. pcscd removes a card before its reader, in
// most cases, and a new reader has the count of events of the one before in its
// place; we say of a token that is unplugged that the reader is gone.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(Aktiv|DigiFlow)[\w. ]*(\[\w+\] )?(\([^)]*\) )?\d\d \d\d`), "READER"},
	{regexp.MustCompile(`(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}`), "DATE"},
	{regexp.MustCompile(`\r [-\\|/] `), ""},
	{regexp.MustCompile(`\r|\x1b\[[0-9;]*[A-Za-z]`), ""},
	{regexp.MustCompile(`Event number: \d+`), "Event number"},
	{regexp.MustCompile(`\s+DATE\s+Reader 0: READER\s+Event number\s+Card state: Card removed, *`), ""},
}

func mask(text string) string {
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.with)
	}
	return text
}

// tool runs a stock client to its end and adds what it printed.
func (r *transcript) tool(t *testing.T, input, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stockLimit)
	defer cancel()
	name := strings.Join(append([]string{program}, args...), " ")
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	r.add(name, mask(string(out)))
}

// A dialogue is with a client that says something and waits in between.
type dialogue struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	chunks chan string
	said   string
	read   int // bytes of said that a call of until has passed
}

func startDialogue(t testing.TB, program string, args ...string) *dialogue {
	t.Helper()
	d := &dialogue{name: program, cmd: exec.Command(program, args...), chunks: make(chan string)}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.cmd.Stderr = t.Output()
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.chunks)
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			if n > 0 {
				d.chunks <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(d.end)
	return d
}

// until reads on, to behind a piece.
func (d *dialogue) until(t testing.TB, piece string) {
	t.Helper()
	limit := time.After(dialogueLimit)
	for {
		if i := strings.Index(d.said[d.read:], piece); i >= 0 {
			d.read += i + len(piece)
			return
		}
		select {
		case chunk, ok := <-d.chunks:
			if !ok {
				t.Fatalf("%s ended before %q; it said:\n%s", d.name, piece, mask(d.said))
			}
			d.said += chunk
		case <-limit:
			t.Fatalf("%s: no %q in %v; it said:\n%s", d.name, piece, dialogueLimit, mask(d.said))
		}
	}
}

// finish reads to the end of a client that ends by itself, without an error.
func (d *dialogue) finish(t testing.TB) {
	t.Helper()
	killed := time.AfterFunc(dialogueLimit, func() { d.cmd.Process.Kill() })
	defer killed.Stop()
	for chunk := range d.chunks {
		d.said += chunk
	}
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("%s: %v; it said:\n%s", d.name, err, mask(d.said))
	}
}

// dialogueLimit bounds a step of a dialogue.
const dialogueLimit = 30 * time.Second

// end ends a client that does not end by itself, or has.
func (d *dialogue) end() {
	if d.cmd.ProcessState != nil {
		return
	}
	d.in.Close()
	d.cmd.Process.Kill()
	for range d.chunks { // so that nobody waits to say something
	}
	d.cmd.Wait()
}

// scriptorInput is a script for pcsc-tools' scriptor.
const scriptorInput = "80EC410103\n80 EC 00 00 04 DE AD BE EF 04\nreset\n00A40000023F00\n00FE0000\n"

// TestServiceTools has OpenSC's and pcsc-tools' clients use the token through
// `kaztoken serve`, with pcscd not running, and wants what they print with pcscd.
func TestServiceTools(t *testing.T) {
	bothStacks(t, func(t *testing.T, k *token, r *transcript) {
		// Through a pipe it would be seen at the end only.
		scan := startDialogue(t, "stdbuf", "-o0", "pcsc_scan")
		scan.until(t, "first reader")
		for range 2 {
			k.plug(t)
			scan.until(t, "Card inserted")
			scan.until(t, "kaztoken.kz") // the end of the analysis of its ATR
			k.unplug(t)
			scan.until(t, "first reader")
			k.vanish(t)
		}
		k.plug(t)
		scan.until(t, "Card inserted")
		scan.end()
		r.add("pcsc_scan", mask(scan.said[:scan.read]))
		r.tool(t, "", "opensc-tool", "-l", "-a")
		r.tool(t, "", "pcsc_scan", "-r")
		r.tool(t, scriptorInput, "scriptor")
	})
}

// TestServicePython has a Python program try every part of PC/SC.
func TestServicePython(t *testing.T) {
	bothStacks(t, func(t *testing.T, k *token, r *transcript) {
		r.add("/usr/bin/python3", pyscard(t, k, "/usr/bin/python3", "pyscardclient.py"))
	})
}

// pyscard runs a command that is the Python program, plugs the token in and out as it
// asks, and returns what it said.
func pyscard(t *testing.T, k *token, command ...string) string {
	t.Helper()
	d := startDialogue(t, command[0], command[1:]...)
	for _, event := range []string{"plug", "unplug", "plug"} {
		d.until(t, "\n"+event+"\n")
		if event == "plug" {
			k.plug(t)
		} else {
			k.unplug(t)
			k.vanish(t)
		}
		fmt.Fprintln(d.in, "done")
	}
	d.finish(t)
	return mask(d.said)
}
