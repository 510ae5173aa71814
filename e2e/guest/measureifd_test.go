//go:build e2e && linux

package guest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
)

// ifdSisterStack is the stock service with our driver and the token that the stock
// driver lists as well, so that both can be measured with the same one.
var ifdSisterStack = stack{ifdStack.name, ccidsim.RutokenECP, func(t testing.TB) (*exec.Cmd, func()) {
	process, stop := ifdStack.start(t)
	return process, func() {
		stop()
		removeBundle(t)
	}
}}

// TestMeasureIFDAPDU sends the same echo APDUs through the same client program and
// service, with the stock driver in it and with ours. The context switches of the
// service tell more than times where the host is busy.
func TestMeasureIFDAPDU(t *testing.T) { eachCPUs(t, measureIFDAPDU) }

func measureIFDAPDU(t *testing.T) {
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	k.appear(t)
	stacks := []stack{stockStack, ifdSisterStack}
	for _, size := range []int{5, 64, 250} {
		apdu := []byte{0x80, 0xEC, 0, 0, byte(size)}
		for i := range size {
			apdu = append(apdu, byte(i))
		}
		apdu = append(apdu, byte(size))
		took, switched := make(map[string][]time.Duration), make(map[string]int)
		for range serviceRounds {
			for _, s := range stacks {
				d, n := measureService(t, s, apdu, (measuredAPDUs+serviceRounds-1)/serviceRounds)
				took[s.name] = append(took[s.name], d...)
				switched[s.name] += n
			}
		}
		w := newTable(fmt.Sprintf("echo of %d bytes, %d times, through pcscd, ms", size, len(took[stockStack.name])),
			"driver", "median", "99th", "of the stock median, goal 1.0", "context switches per APDU")
		for i, s := range stacks {
			m := median(took[s.name])
			w.row([]string{"libccid", "libifdkaztoken"}[i], ms(m), ms(highest(took[s.name])),
				fmt.Sprintf("%.2f", float64(m)/float64(median(took[stockStack.name]))),
				fmt.Sprintf("%.1f", float64(switched[s.name])/float64(len(took[s.name]))))
		}
		w.print(t)
	}
}
