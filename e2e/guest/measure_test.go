//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// TestMeasureHotplug tells how long it takes from the kernel's uevent to a
// token that is listed and powered up, and to a removal that is reported.
func TestMeasureHotplug(t *testing.T) {
	w := newTable("hot-plug, ms", "driver", "event", "median", "99th", "goal")
	for _, d := range drivers {
		k := newToken(t, ccidsim.KAZTOKEN)
		watcher := watch(t, d)
		var arrivals, removals []time.Duration
		for range plugSoak {
			k.plug(t)
			e := watcher.next(t, host.Arrived)
			arrivals = append(arrivals, e.Time.Sub(e.Reported))
			k.unplug(t)
			e = watcher.next(t, host.Removed)
			k.vanish(t)
			if e.Reported.IsZero() { // a transfer saw it before the kernel said so
				e.Reported = e.Time
			}
			removals = append(removals, e.Time.Sub(e.Reported))
		}
		watcher.close(t)
		w.row(d.name, "plugged in → listed and powered up", ms(median(arrivals)), ms(highest(arrivals)), "300")
		w.row(d.name, "unplugged → reported", ms(median(removals)), ms(highest(removals)), "100")
	}
	w.print(t)
}

const (
	measuredAPDUs  = 2000 // of each size and on each road
	measuredRounds = 4    // the roads take turns, so that a slow minute hits all
)

// TestMeasureAPDU sends the same echo APDUs to the same token on every road.
// The token bears the product id of a sister that the stock driver lists.
func TestMeasureAPDU(t *testing.T) {
	oneCPU(t)
	lendProcessor(t)
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	dev, ifc := k.appear(t)

	type road struct {
		name string
		send func(t *testing.T, apdu []byte, n int) []time.Duration
	}
	const floor, ours, stockRoad = "raw bulk pairs, ", "kaztoken, ", "pcscd + libccid"
	var roads []road
	for _, d := range drivers {
		roads = append(roads,
			road{floor + d.name, func(t *testing.T, apdu []byte, n int) []time.Duration { return measureRaw(t, d, dev, ifc, apdu, n) }},
			road{ours + d.name, func(t *testing.T, apdu []byte, n int) []time.Duration { return measureOurs(t, d, dev, ifc, apdu, n) }},
		)
	}
	roads = append(roads, road{stockRoad, measureStock})

	for _, size := range []int{5, 64, 250} {
		apdu := []byte{0x80, 0xEC, 0, 0, byte(size)}
		for i := range size {
			apdu = append(apdu, byte(i))
		}
		apdu = append(apdu, byte(size))

		took := make(map[string][]time.Duration)
		for range measuredRounds {
			for _, r := range roads {
				took[r.name] = append(took[r.name], r.send(t, apdu, measuredAPDUs/measuredRounds)...)
			}
		}
		lowest := min(median(took[floor+"usbfs"]), median(took[floor+"libusb"]))
		stockOver := median(took[stockRoad]) - lowest
		w := newTable(fmt.Sprintf("echo of %d bytes, %d times, ms; floor: the faster raw pairs", size, measuredAPDUs),
			"road", "median", "99th", "over its own pipe", "(ours - floor) / (stock - floor), goal 0.5")
		for _, r := range roads {
			m := median(took[r.name])
			over, ratio := "", ""
			if d, ok := strings.CutPrefix(r.name, ours); ok {
				over = ms(m - median(took[floor+d]))
				ratio = "stock is at the floor"
				if stockOver > 0 {
					ratio = fmt.Sprintf("%.2f", float64(m-lowest)/float64(stockOver))
				}
			}
			w.row(r.name, ms(m), ms(highest(took[r.name])), over, ratio)
		}
		w.print(t)
	}
}

// measureRaw makes bare XfrBlock exchanges over the pipe: the floor under every
// driver.
func measureRaw(t *testing.T, d driver, dev usb.Info, ifc usb.Interface, apdu []byte, n int) []time.Duration {
	t.Helper()
	// The driver powers the card up; the pipe alone takes over where it was.
	_, stop := openReader(t, d, dev, ifc)
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pipe, err := d.open(ctx, dev, ifc)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	answer := make([]byte, 512)
	exchange := func(message []byte) []byte {
		if err := pipe.WriteBulk(ctx, message); err != nil {
			t.Fatal(err)
		}
		n, err := pipe.ReadBulk(ctx, answer)
		if err != nil {
			t.Fatal(err)
		}
		return answer[:n]
	}
	// PC_to_RDR_IccPowerOn at 5 V (CCID rev 1.10 §6.1.1).
	if got := exchange([]byte{0x62, 0, 0, 0, 0, 0, 0, 1, 0, 0}); got[0] != 0x80 || got[7] != 0 {
		t.Fatalf("power on: % X", got)
	}
	message := append([]byte{0x6F, 0, 0, 0, 0, 0, 0, 0, 0, 0}, apdu...) // PC_to_RDR_XfrBlock
	binary.LittleEndian.PutUint32(message[1:], uint32(len(apdu)))
	took := make([]time.Duration, n)
	for i := range took {
		message[6] = byte(i + 1)
		began := time.Now()
		got := exchange(message)
		took[i] = time.Since(began)
		if got[6] != message[6] || got[7] != 0 || !isEcho(got[10:], apdu) {
			t.Fatalf("raw exchange %d: % X", i, got)
		}
	}
	return took
}

func measureOurs(t *testing.T, d driver, dev usb.Info, ifc usb.Interface, apdu []byte, n int) []time.Duration {
	t.Helper()
	r, stop := openReader(t, d, dev, ifc)
	defer stop()
	slot := r.Slots()[0]
	var answer []byte
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		var err error
		answer, err = slot.Transmit(t.Context(), answer[:0], apdu)
		took[i] = time.Since(began)
		if err != nil || !isEcho(answer, apdu) {
			t.Fatalf("exchange %d: % X, %v", i, answer, err)
		}
	}
	return took
}

func measureStock(t *testing.T, apdu []byte, n int) []time.Duration {
	t.Helper()
	defer startPCSCD(t, onlyUSB)()
	_, answers, err := stock(t, "Rutoken", slices.Repeat([][]byte{apdu}, n), 0)
	if err != nil {
		t.Fatal(err)
	}
	took := make([]time.Duration, n)
	for i, a := range answers {
		if !isEcho(a.bytes, apdu) {
			t.Fatalf("stock exchange %d: % X", i, a.bytes)
		}
		took[i] = a.took
	}
	return took
}

// isEcho reports whether answer is that to an ECHO with as much data as answer.
func isEcho(answer, apdu []byte) bool {
	data := apdu[5 : len(apdu)-1]
	return len(answer) == len(data)+2 && bytes.HasPrefix(answer, data) && bytes.HasSuffix(answer, []byte{0x90, 0x00})
}

func median(d []time.Duration) time.Duration { return centile(d, 50) }

// highest is the 99th centile.
func highest(d []time.Duration) time.Duration { return centile(d, 99) }

func centile(d []time.Duration, n int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[(len(sorted)-1)*n/100]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d.Nanoseconds())/1e6) }

// table prints to standard output, where the test outside shows it as it is.
type table struct {
	out *tabwriter.Writer
}

func newTable(title string, columns ...string) *table {
	w := &table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	fmt.Fprintf(w.out, "\n%s\n", title)
	w.row(columns...)
	return w
}

func (w *table) row(cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(w.out, "%s\t", c)
	}
	fmt.Fprintln(w.out)
}

func (w *table) print(t testing.TB) {
	t.Helper()
	if err := w.out.Flush(); err != nil {
		t.Error(err)
	}
}
