//go:build e2e && linux

package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/udev"
	"kaztoken/udev/ifd"
	"kaztoken/usb"
)

// driversDir is where the stock service looks for drivers. The CCID project's is
// there.
const driversDir = "/usr/lib/pcsc/drivers"

// installBundle puts our IFD handler beside the stock driver until the end of the
// test, as a package would. Devices are added to its list.
func installBundle(t testing.TB, devices ...udev.Device) {
	t.Helper()
	removeBundle(t)
	t.Cleanup(func() { removeBundle(t) })
	target := filepath.Join(driversDir, ifd.Bundle)
	if err := os.CopyFS(target, os.DirFS(ifd.Bundle)); err != nil {
		t.Fatal(err)
	}
	if len(devices) > 0 {
		list := ifd.PList(append(udev.Devices(), devices...), ifd.Library)
		if err := os.WriteFile(filepath.Join(target, "Contents", ifd.PListFile), list, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func removeBundle(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(driversDir, ifd.Bundle)); err != nil {
		t.Error(err)
	}
}

// ifdStack is the stock service with our driver in it.
var ifdStack = stack{"pcscd with libifdkaztoken", ccidsim.KAZTOKEN, func(t testing.TB) (*exec.Cmd, func()) {
	installBundle(t)
	return stockStack.start(t)
}}

// loaded reports whether a process has a library of that name in it.
func loaded(t testing.TB, process *exec.Cmd, library string) bool {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(maps), "/"+library)
}

// awaitReaders waits until the stock service shows readers of these names, and no
// others.
func awaitReaders(t testing.TB, names ...string) {
	t.Helper()
	var last string
	defer func() {
		if t.Failed() {
			t.Logf("opensc-tool said last:\n%s", last)
		}
	}()
	await(t, fmt.Sprintf("readers %q", names), func() (struct{}, bool) {
		var err error
		if last, err = runStock(t, nil, "opensc-tool", "--list-readers"); err != nil {
			t.Fatal(err)
		}
		found := 0
		for line := range strings.Lines(last) {
			if i := strings.LastIndex(line, "  "); i >= 0 && slices.Contains(names, strings.TrimSpace(line[i:])) {
				found++
			}
		}
		headings := 2
		if len(names) == 0 {
			headings = 1 // that there are none
		}
		return struct{}{}, found == len(names) && strings.Count(last, "\n") == found+headings
	})
}

// TestIFDSeen: the token that the stock service does not see is there once our
// handler is installed, beside another one. Other readers stay with the stock
// driver.
func TestIFDSeen(t *testing.T) {
	k, sister := newToken(t, ccidsim.KAZTOKEN), newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	k.appear(t)
	const kaztoken, rutoken = "DigiFlow LLP. KAZTOKEN 00 00", "Aktiv Rutoken ECP"
	func() {
		process, stop := stockStack.start(t)
		defer stop()
		sister.plug(t)
		awaitReaders(t, rutoken+" 00 00") // which came later, so the first is not seen at all
		if !loaded(t, process, "libccid.so") || loaded(t, process, ifd.Library) {
			t.Error("the stock service is not the stock one")
		}
	}()
	sister.unplug(t)
	sister.vanish(t)

	process, stop := ifdStack.start(t)
	defer stop()
	awaitReaders(t, kaztoken)
	sister.plug(t)
	awaitReaders(t, kaztoken, rutoken+" 01 00")
	if loaded(t, process, "libccid.so") || !loaded(t, process, ifd.Library) {
		t.Error("our devices are driven by the stock driver")
	}
	atr, err := openscATR(t)
	if err != nil || fmt.Sprintf("%X", atr) != tokenATR {
		t.Errorf("ATR % X, %v", atr, err)
	}

	// A reader that is none of ours, while ours are there.
	withEmulatedReader(t, func(usb.Info, usb.Interface) error {
		_, answers, err := stock(t, emulatedName, emulatedAPDUs(5), emulatedPause)
		if err == nil && len(answers) != 5 {
			t.Errorf("%d answers", len(answers))
		}
		return err
	})
	if !loaded(t, process, "libccid.so") {
		t.Error("QEMU's reader is not driven by the stock driver")
	}
	sendEchoes(t, "KAZTOKEN", 5)
}

// sendEchoes has the stock client send n APDUs to the token of a reader.
func sendEchoes(t testing.TB, name string, n int) {
	t.Helper()
	apdu := []byte{0x80, 0xEC, 0, 0, 4, 1, 2, 3, byte(n), 4}
	if err := echoThrough(t, name, slices.Repeat([][]byte{apdu}, n)); err != nil {
		t.Fatal(err)
	}
}

// echoThrough has the stock client send echo APDUs, short or extended, and wants
// their data back.
func echoThrough(t testing.TB, name string, apdus [][]byte) error {
	t.Helper()
	_, answers, err := stock(t, name, apdus, 0)
	if err != nil {
		return err
	}
	for i, a := range answers {
		data := apdus[i][5 : len(apdus[i])-1]
		if apdus[i][4] == 0 {
			data = apdus[i][7 : len(apdus[i])-2]
		}
		if want := string(data) + "\x90\x00"; string(a.bytes) != want {
			return fmt.Errorf("%s: APDU %d of %d bytes: answer of %d bytes", name, i, len(apdus[i]), len(a.bytes))
		}
	}
	return nil
}

// TestIFDProfiles sends APDUs through readers of every sort that our handler is
// told to drive.
func TestIFDProfiles(t *testing.T) {
	oneCPU(t)
	short, extended := []int{1, 64, 200, 254}, []int{1, 255, 700, 4000}
	profiles := []struct {
		ccidsim.Profile
		sizes []int
	}{
		{ccidsim.ExtendedAPDU, extended}, {ccidsim.ExtendedChaining, extended}, {ccidsim.TPDUT1LRC, extended},
		{ccidsim.TPDUT1CRC, short}, {ccidsim.ICCDB, short}, {ccidsim.TwoSlots, extended},
	}
	var devices []udev.Device
	for _, p := range profiles {
		devices = append(devices, udev.Device{Vendor: p.Vendor, Product: p.Product, Name: p.Name, Maker: "Test"})
	}
	installBundle(t, devices...)
	process, stop := stockStack.start(t)
	defer stop()
	for _, p := range profiles {
		t.Run(p.Name, func(t *testing.T) {
			k := newToken(t, p.Profile)
			k.plug(t)
			var apdus [][]byte
			for _, n := range p.sizes {
				apdu := []byte{0x80, 0xEC, 0, 0, byte(n)}
				if n > 254 {
					apdu = []byte{0x80, 0xEC, 0, 0, 0, byte(n >> 8), byte(n)}
				}
				for i := range n {
					apdu = append(apdu, byte(i^n))
				}
				if n > 254 {
					apdu = append(apdu, byte(n>>8))
				}
				apdus = append(apdus, append(apdu, byte(n)))
			}
			if err := echoThrough(t, "Test "+p.Name, apdus); err != nil {
				t.Error(err)
			}
			k.unplug(t)
			k.vanish(t)
		})
	}
	if loaded(t, process, "libccid.so") {
		t.Error("the stock driver was used")
	}
}

// TestIFDTwoTokens talks to two tokens at once, and to one while the other goes.
func TestIFDTwoTokens(t *testing.T) {
	_, stop := ifdStack.start(t)
	defer stop()
	first, second := newToken(t, ccidsim.KAZTOKEN), newToken(t, ccidsim.RutokenECP)
	first.plug(t)
	awaitReaders(t, "DigiFlow LLP. KAZTOKEN 00 00")
	second.plug(t)
	apdus := slices.Repeat([][]byte{{0x80, 0xEC, 0, 0, 2, 1, 2, 2}}, 150)
	done := make(chan error, 2)
	for _, name := range []string{"KAZTOKEN", "Rutoken"} {
		go func() { done <- echoThrough(t, name, apdus) }()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { done <- echoThrough(t, "Rutoken", apdus) }()
	for range 2 {
		first.unplug(t)
		awaitReaders(t, "Aktiv Rutoken ECP 01 00")
		first.plug(t)
		awaitReaders(t, "DigiFlow LLP. KAZTOKEN 00 00", "Aktiv Rutoken ECP 01 00")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	sendEchoes(t, "KAZTOKEN", 3)
}

// TestIFDRestart starts the service anew with a token plugged in, as a daemon too,
// which forks before it loads drivers, and sends it what administrators send.
func TestIFDRestart(t *testing.T) {
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	k.appear(t)
	for range 2 {
		process, stop := ifdStack.start(t)
		sendEchoes(t, "KAZTOKEN", 3)
		for range 3 {
			if err := process.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			sendEchoes(t, "KAZTOKEN", 3)
		}
		stop()
	}

	installBundle(t)
	if out, err := exec.Command("/usr/sbin/pcscd", "--config", onlyUSB).CombinedOutput(); err != nil {
		t.Fatalf("pcscd: %v: %s", err, out)
	}
	text, err := os.ReadFile("/run/pcscd/pcscd.pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Trim(string(text), "\x00\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(pid, syscall.SIGTERM)
		await(t, "the daemon to end", func() (struct{}, bool) {
			_, err := os.Stat(fmt.Sprint("/proc/", pid))
			if errors.Is(err, fs.ErrNotExist) {
				return struct{}{}, true
			}
			// Nobody waits for it but the first process, which does not.
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return struct{}{}, strings.Contains(string(status), ") Z ")
		})
	})
	sendEchoes(t, "KAZTOKEN", 3)
	k.unplug(t)
	awaitReaders(t)
	k.plug(t)
	sendEchoes(t, "KAZTOKEN", 3)
}

const (
	ifdPlugCycles = 10 // make soak: so many times as often
	ifdAPDUs      = 600
	ifdManyAPDUs  = 10000 // make soak
	// growth is what a service may take more after its first use, KiB: Go's heap
	// is swept when it has doubled.
	growth = 6 * 1024
)

// TestIFDPlug plugs a token in and out while a client waits, which is told each
// time, and then sends many APDUs. The service keeps nothing of it.
func TestIFDPlug(t *testing.T) {
	process, stop := ifdStack.start(t)
	defer stop()
	k := newToken(t, ccidsim.KAZTOKEN)
	kernel := listenToKernel(t, k.profile.Vendor)
	client := startDialogue(t, "./waitclient", "state", k.profile.ProductName)
	client.until(t, "waiting ")
	told := make(map[string][]time.Duration)
	var threads, files, memory int
	cycles := *soak * ifdPlugCycles
	for i := range cycles {
		for _, event := range waitEvents {
			client.awaitWait(t)
			event.happen(k, t)
			at := kernel.await(t, event.action)
			took := client.stamp(t, event.said).Sub(at)
			if took > toldAtLeast {
				t.Errorf("cycle %d: told of %q after %v", i, event.said, took)
			}
			told[event.said] = append(told[event.said], took)
		}
		k.vanish(t)
		if i == 2 { // the runtime has the threads that it needs
			threads, files, memory = holdings(t, process)
		}
		if i == cycles/2 {
			if err := process.Process.Signal(syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
		}
	}
	client.end()
	endThreads, endFiles, endMemory := holdings(t, process)
	t.Logf("%d cycles: threads %d to %d, files %d to %d, resident %d to %d KiB", cycles, threads, endThreads, files, endFiles, memory, endMemory)
	if endThreads > threads+4 || endFiles > files || endMemory > memory+growth {
		t.Error("the service keeps something of each plug")
	}
	w := newTable(fmt.Sprintf("pcscd with libifdkaztoken: from the kernel's event to the client that waits, ms, %d times", cycles),
		"event", "median", "99th", "goal")
	for i, event := range waitEvents {
		w.row(event.said, ms(median(told[event.said])), ms(highest(told[event.said])), []string{"", "500"}[i])
	}
	w.print(t)

	oneCPU(t)
	k.plug(t)
	sendEchoes(t, "KAZTOKEN", 200)
	_, _, memory = holdings(t, process)
	n := ifdAPDUs
	if *soak > 1 {
		n = ifdManyAPDUs
	}
	for left := n; left > 0; left -= 2000 {
		sendEchoes(t, "KAZTOKEN", min(left, 2000))
	}
	_, endFiles, endMemory = holdings(t, process)
	t.Logf("%d APDUs: resident %d to %d KiB", n, memory, endMemory)
	if endMemory > memory+growth || endFiles > files+3 {
		t.Error("the service keeps something of each APDU")
	}
}

// holdings are the threads, open files and memory (KiB) of a process.
func holdings(t testing.TB, process *exec.Cmd) (threads, files, memory int) {
	t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", process.Process.Pid, dir))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	return count("task"), count("fd"), resident(t, process)
}

// TestIFDKilledClients: clients that are killed in the middle of a command leave a
// service that works.
func TestIFDKilledClients(t *testing.T) {
	_, stop := ifdStack.start(t)
	defer stop()
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	for range 5 {
		d := startDialogue(t, "./stockclient", "0", "KAZTOKEN")
		d.until(t, "ATR")
		fmt.Fprintln(d.in, "80EC00000101")
		d.end()
	}
	sendEchoes(t, "KAZTOKEN", 3)
}
