//go:build e2e && linux

package guest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
	"kaztoken/internal/nap"
)

// ourSisterStack is ours with the token that the stock driver lists as well, so
// that both can be measured with the same one.
var ourSisterStack = stack{"kaztoken serve", ccidsim.RutokenECP, func(t testing.TB) (*exec.Cmd, func()) {
	return startDaemon(t, "./kaztoken", "serve", "--readers", "rutoken", "--socket", host.DefaultSocket)
}}

// measuredStacks take turns.
var measuredStacks = []stack{stockStack, ourSisterStack}

const serviceRounds = 3

// TestMeasureServiceAPDU sends the same echo APDUs through the same client program
// and both services, and through raw bulk pairs.
func TestMeasureServiceAPDU(t *testing.T) { eachCPUs(t, measureServiceAPDU) }

func measureServiceAPDU(t *testing.T) {
	lendProcessor(t)
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	dev, ifc := k.appear(t)
	const floor = "raw bulk pairs"
	for _, size := range []int{5, 64, 250} {
		apdu := []byte{0x80, 0xEC, 0, 0, byte(size)}
		for i := range size {
			apdu = append(apdu, byte(i))
		}
		apdu = append(apdu, byte(size))
		took, switched := make(map[string][]time.Duration), make(map[string]int)
		for range serviceRounds {
			const n = (measuredAPDUs + serviceRounds - 1) / serviceRounds
			took[floor] = append(took[floor], measureRaw(t, drivers[0], dev, ifc, apdu, n)...)
			for _, s := range measuredStacks {
				d, n := measureService(t, s, apdu, n)
				took[s.name] = append(took[s.name], d...)
				switched[s.name] += n
			}
		}
		lowest, stockMedian := median(took[floor]), median(took[stockStack.name])
		w := newTable(fmt.Sprintf("echo of %d bytes, %d times, through libpcsclite, ms", size, len(took[floor])),
			"road", "median", "99th", "(ours - floor) / (stock - floor), goal 0.6", "context switches per APDU")
		for _, name := range []string{floor, stockStack.name, ourSisterStack.name} {
			ratio := ""
			if name == ourSisterStack.name {
				ratio = "stock is at the floor"
				if stockMedian > lowest {
					ratio = fmt.Sprintf("%.2f", float64(median(took[name])-lowest)/float64(stockMedian-lowest))
				}
			}
			switches := ""
			if name != floor {
				switches = fmt.Sprintf("%.1f", float64(switched[name])/float64(len(took[name])))
			}
			w.row(name, ms(median(took[name])), ms(highest(took[name])), ratio, switches)
		}
		w.print(t)
	}
}

// lendProcessor has this process wait for transfers as the service does, until the
// end of the test: the floor is to be as low as it can be.
func lendProcessor(t testing.TB) {
	before := runtime.GOMAXPROCS(2)
	nap.Allow(1)
	t.Cleanup(func() {
		nap.Allow(0)
		runtime.GOMAXPROCS(before)
	})
}

// measureService sends an APDU n times through a service. It also gives the context
// switches of the service from when it is there to its end: pcscd has a thread for
// each program, whose own count is gone when the thread is.
func measureService(t *testing.T, s stack, apdu []byte, n int) (took []time.Duration, switched int) {
	t.Helper()
	process, stop := s.start(t)
	defer stop()
	switched = -contextSwitches(t, process.Process.Pid)
	_, answers, err := stock(t, s.profile.ProductName, slices.Repeat([][]byte{apdu}, n), 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if !isEcho(a.bytes, apdu) {
			t.Fatalf("%s: exchange %d: % X", s.name, i, a.bytes)
		}
		took = append(took, a.took)
	}
	stop()
	used := process.ProcessState.SysUsage().(*syscall.Rusage)
	return took, switched + int(used.Nvcsw+used.Nivcsw)
}

// TestMeasureServiceEvents tells how long after the kernel the clients of both
// services know of a token.
func TestMeasureServiceEvents(t *testing.T) {
	w := newTable(fmt.Sprintf("from the kernel's event to the client that waits, ms, %d times", waitCycles),
		"service", "waits for", "event", "median", "99th", "of the stock median, goal 0.5")
	stockMedian := make(map[string]time.Duration)
	for _, s := range measuredStacks {
		told := waitAndPlug(t, s, waitCycles)
		for _, kind := range waitKinds {
			for _, event := range waitEvents {
				key, ratio := kind+event.said, ""
				if s.name == stockStack.name {
					stockMedian[key] = median(told[key])
				} else {
					ratio = fmt.Sprintf("%.2f", float64(median(told[key]))/float64(stockMedian[key]))
				}
				w.row(s.name, kind, event.said, ms(median(told[key])), ms(highest(told[key])), ratio)
			}
		}
	}
	w.print(t)
}

// TestMeasureServiceIdle tells what both services take when nobody uses them.
func TestMeasureServiceIdle(t *testing.T) {
	w := newTable(fmt.Sprintf("a service that nobody uses: context switches in %v, resident KiB", idleTime),
		"service", "no token", "a token, powered down", "and a client that waits", "resident, fresh", "resident, used")
	for _, s := range measuredStacks {
		process, stop := s.start(t)
		none := switches(t, idleTime, process)[0] // and its start is over
		fresh := resident(t, process)
		k := newToken(t, s.profile)
		k.plug(t)
		apdu := []byte{0x80, 0xEC, 0, 0, 1}
		if _, _, err := stock(t, s.profile.ProductName, slices.Repeat([][]byte{apdu}, 100), 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * powerOffTime)
		with := switches(t, idleTime, process)[0]
		client := startDialogue(t, "./waitclient", "state", s.profile.ProductName)
		client.awaitWait(t)
		waiting := switches(t, idleTime, process)[0]
		used := resident(t, process)
		client.end()
		stop()
		k.unplug(t)
		k.vanish(t)
		w.row(s.name, fmt.Sprint(none), fmt.Sprint(with), fmt.Sprint(waiting), fmt.Sprint(fresh), fmt.Sprint(used))
	}
	w.print(t)
}

// powerOffTime is how long both services leave a card on that nobody uses.
const powerOffTime = 5 * time.Second

// resident is the memory a process has in use, in KiB.
func resident(t testing.TB, process *exec.Cmd) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
