//go:build e2e && linux

package guest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPCSCD runs the stock smart-card service with the stock CCID driver until
// the end of the test, or until the returned function is called.
func startPCSCD(t testing.TB) (stop func()) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command("/usr/sbin/pcscd", "--foreground")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(answerLimit, func() { cmd.Process.Kill() })
		defer killed.Stop()
		cmd.Wait()
		if t.Failed() {
			t.Logf("pcscd said:\n%s", log.Bytes())
		}
	}
	t.Cleanup(stop)
	return stop
}

// stockAnswer is one answer of the stock stack.
type stockAnswer struct {
	bytes []byte
	err   error
	took  time.Duration
}

// stock sends APDUs to the card in the reader whose name contains name, through
// a C program, libpcsclite, pcscd and libccid.
func stock(t testing.TB, name string, apdus [][]byte) (atr []byte, answers []stockAnswer) {
	t.Helper()
	var in, stderr bytes.Buffer
	for _, apdu := range apdus {
		in.WriteString(hex.EncodeToString(apdu) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "./stockclient", "-t", name)
	cmd.Stdin, cmd.Stderr = &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("stock client: %v: %s", err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		var a stockAnswer
		switch {
		case words[0] == "ATR":
			atr = unhex(t, words[1])
			continue
		case words[0] == "error":
			a.err = errors.New(words[1])
		default:
			a.bytes = unhex(t, words[0])
		}
		nanoseconds, err := strconv.ParseInt(words[len(words)-1], 10, 64)
		if err != nil {
			t.Fatalf("stock client said %q: %v", line, err)
		}
		a.took = time.Duration(nanoseconds)
		answers = append(answers, a)
	}
	if len(answers) != len(apdus) {
		t.Fatalf("stock client gave %d answers to %d APDUs", len(answers), len(apdus))
	}
	return atr, answers
}

// openscATR is what `opensc-tool -a` prints, which waits for no reader.
func openscATR(t testing.TB) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "opensc-tool", "--atr")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("opensc-tool: %v", err)
	}
	return unhex(t, strings.ReplaceAll(strings.TrimSpace(string(out)), ":", ""))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
