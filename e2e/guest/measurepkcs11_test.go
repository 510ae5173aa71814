//go:build e2e && linux

package guest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
)

const (
	measuredSignatures = 30 // of each length, with each module, in each round
	signatureRounds    = 3
)

// TestMeasurePKCS11 signs by our module and by OpenSC's, with the same key over the
// same service, where an APDU costs what USB makes it cost.
func TestMeasurePKCS11(t *testing.T) {
	ourStack.start(t)
	w := newTable(fmt.Sprintf("signatures over USB, ms, %d times", measuredSignatures*signatureRounds),
		"bits", "module", "mean", "fastest", "times OpenSC's rate, goal 2")
	for _, bits := range []int{1024, 2048} {
		d := newPKCS11Desk(t, ccidsim.KAZTOKEN)
		conf := d.path("opensc.conf")
		if err := os.WriteFile(conf, []byte(openscConf), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("OPENSC_CONF", conf)
		d.token.plug(t)
		d.token.appear(t)
		d.tool(t, nil, "--login", "--pin", "12345678", "--keypairgen", "--key-type", fmt.Sprint("rsa:", bits), "--id", "01", "--label", "one")
		modules := []string{"opensc-pkcs11.so", pkcs11Module}
		var all, fastest [2]time.Duration
		for range signatureRounds {
			for i, module := range modules {
				took, best := d.rate(t, module)
				all[i] += took
				if fastest[i] == 0 || best < fastest[i] {
					fastest[i] = best
				}
			}
		}
		for i, name := range []string{"OpenSC", "ours"} {
			w.row(fmt.Sprint(bits), name, ms(all[i]/(measuredSignatures*signatureRounds)), ms(fastest[i]), fmt.Sprintf("%.2f", float64(all[0])/float64(all[i])))
		}
		d.token.unplug(t)
		d.token.vanish(t)
	}
	w.print(t)
}

// rate has a program sign, and tells how long all of it and the fastest took.
func (d *pkcs11Desk) rate(t *testing.T, module string) (all, fastest time.Duration) {
	t.Helper()
	c := startDialogue(t, "./signclient", "rate", module, d.path("pin"), strconv.Itoa(measuredSignatures))
	c.until(t, "ready\n")
	fmt.Fprintln(c.in)
	begin := c.read
	c.until(t, "\n")
	var a, f int // µs
	if _, err := fmt.Sscan(strings.TrimSpace(c.said[begin:c.read]), &a, &f); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c.in)
	c.finish(t)
	return time.Duration(a) * time.Microsecond, time.Duration(f) * time.Microsecond
}
