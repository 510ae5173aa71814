//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// onlyUSB is the configuration of a pcscd that has no readers but those it finds
// on USB.
const onlyUSB = os.DevNull

// startPCSCD runs the stock smart-card service with the stock drivers until the
// end of the test, or until the returned function is called. readers is the file
// that configures the readers it cannot find by itself.
func startPCSCD(t testing.TB, readers string) (stop func()) {
	t.Helper()
	_, stop = startDaemon(t, "/usr/sbin/pcscd", "--foreground", "--config", readers)
	return stop
}

// stockAnswer is one answer of the stock stack.
type stockAnswer struct {
	bytes []byte
	took  time.Duration
}

// stockLimit bounds a run of a stock client.
const stockLimit = time.Minute

// stock sends APDUs to the card in the reader whose name contains name, through
// a C program, libpcsclite, pcscd and libccid. The error says that one was not
// answered.
func stock(t testing.TB, name string, apdus [][]byte, pause time.Duration) (atr []byte, answers []stockAnswer, err error) {
	t.Helper()
	var in bytes.Buffer
	for _, apdu := range apdus {
		in.WriteString(hex.EncodeToString(apdu) + "\n")
	}
	out, err := runStock(t, &in, "./stockclient", strconv.FormatInt(pause.Milliseconds(), 10), name)
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if words[0] == "ATR" {
			atr = unhex(t, words[1])
			continue
		}
		nanoseconds, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			t.Fatalf("stock client said %q: %v", line, err)
		}
		answers = append(answers, stockAnswer{unhex(t, words[0]), time.Duration(nanoseconds)})
	}
	if len(answers) != len(apdus) {
		t.Fatalf("stock client gave %d answers to %d APDUs", len(answers), len(apdus))
	}
	return atr, answers, nil
}

// openscATR is what `opensc-tool --atr` prints.
func openscATR(t testing.TB) ([]byte, error) {
	t.Helper()
	out, err := runStock(t, nil, "opensc-tool", "--atr")
	if err != nil {
		return nil, err
	}
	return unhex(t, strings.ReplaceAll(strings.TrimSpace(out), ":", "")), nil
}

func runStock(t testing.TB, in io.Reader, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stockLimit)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stderr = in, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
