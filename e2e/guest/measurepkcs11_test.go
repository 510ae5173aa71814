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
	measuredSignatures = 30 // of each length, on each road, in each round
	measuredPrograms   = 5  // that sign once
	signatureRounds    = 3
)

// signatureRoads are the ways from a program that signs to the token.
var signatureRoads = []struct {
	name  string
	ours  bool // the module
	stack stack
}{
	{"OpenSC, pcscd", false, stockStack},
	{"OpenSC, kaztoken serve", false, ourSisterStack},
	{"ours, kaztoken serve", true, ourSisterStack},
}

// TestMeasurePKCS11 signs by our module and by OpenSC's, with the same key over USB,
// where an APDU costs what USB makes it cost: one signature after the other, and in
// programs that log in, sign once and end, as ssh, curl and openssl do.
func TestMeasurePKCS11(t *testing.T) {
	w := newTable(fmt.Sprintf("signatures over USB, ms: %d one after the other, %d programs that sign once", measuredSignatures*signatureRounds, measuredPrograms*signatureRounds),
		"bits", "module and service", "mean", "fastest", "times OpenSC's rate, goal 2", "program", "times OpenSC's")
	for _, bits := range []int{1024, 2048} {
		d := newPKCS11Desk(t, ccidsim.RutokenECP)
		conf := d.path("opensc.conf")
		if err := os.WriteFile(conf, []byte(openscConf), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("OPENSC_CONF", conf)
		// What is shared with the host is read from there each time, unlike OpenSC's.
		d.run(t, nil, "cp", pkcs11Module, "signclient", d.dir)
		modules := map[bool]string{false: "opensc-pkcs11.so", true: d.path("libkaztoken-pkcs11.so")}
		d.token.plug(t)
		d.token.appear(t)
		served := func(s stack, f func()) {
			t.Helper()
			_, stop := s.start(t)
			defer stop()
			waiter := startDialogue(t, "./waitclient", "state", s.profile.ProductName)
			waiter.until(t, "card ")
			waiter.end()
			f()
		}
		served(ourSisterStack, func() {
			d.tool(t, nil, "--login", "--pin", "12345678", "--keypairgen", "--key-type", fmt.Sprint("rsa:", bits), "--id", "01", "--label", "one")
		})
		all, fastest := make([]time.Duration, len(signatureRoads)), make([]time.Duration, len(signatureRoads))
		programs := make([]time.Duration, len(signatureRoads))
		for range signatureRounds {
			for i, road := range signatureRoads {
				served(road.stack, func() {
					took, best := d.rate(t, modules[road.ours])
					all[i] += took
					if fastest[i] == 0 || best < fastest[i] {
						fastest[i] = best
					}
					began := time.Now()
					for range measuredPrograms {
						d.run(t, nil, d.path("signclient"), "once", modules[road.ours], d.path("pin"), "1")
					}
					programs[i] += time.Since(began)
				})
			}
		}
		times := func(of []time.Duration, i int) string { return fmt.Sprintf("%.2f", float64(of[0])/float64(of[i])) }
		for i, road := range signatureRoads {
			w.row(fmt.Sprint(bits), road.name, ms(all[i]/(measuredSignatures*signatureRounds)), ms(fastest[i]), times(all, i),
				ms(programs[i]/(measuredPrograms*signatureRounds)), times(programs, i))
		}
		d.token.unplug(t)
		d.token.vanish(t)
	}
	w.print(t)
}

// rate has a program sign, and tells how long all of it and the fastest took.
func (d *pkcs11Desk) rate(t *testing.T, module string) (all, fastest time.Duration) {
	t.Helper()
	c := startDialogue(t, d.path("signclient"), "rate", module, d.path("pin"), strconv.Itoa(measuredSignatures))
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
