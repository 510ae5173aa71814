package ifd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid/ccidsim"
)

// polling is a poll under way.
type polling chan Response

func poll(h *Handler, lun Lun, timeout time.Duration) polling {
	p := make(polling, 1)
	go func() { p <- h.Poll(lun, timeout) }()
	synctest.Wait()
	return p
}

// over reports whether the poll has returned by now, and with what.
func (p polling) over(t testing.TB, doing string, want bool) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-p:
		if !want || r != Success {
			t.Fatalf("%s: the poll returned %v", doing, r)
		}
	default:
		if want {
			t.Fatalf("%s: the poll did not return", doing)
		}
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bus
		g := b.plug(ccidsim.TwoSlots)
		h := b.handler(t)
		want(t, "create", h.CreateChannelByName(0, g.name()), Success)
		time.Sleep(2 * time.Second) // what the reader says first is about the time before
		poll(h, 0, time.Hour).over(t, "a card that the host was not told of", true)
		want(t, "presence", h.ICCPresence(0), Success)
		_, r := h.PowerICC(0, PowerUp, make([]byte, MaxATR))
		want(t, "power up", r, Success)

		p := poll(h, 0, 3*time.Second)
		p.over(t, "nothing new", false)
		echo(t, h, 0, 1)
		_, r = h.PowerICC(0, Reset, make([]byte, MaxATR))
		want(t, "reset", r, Success)
		_, r = h.PowerICC(0, PowerDown, nil)
		want(t, "power down", r, Success)
		p.over(t, "the host's own doing", false)
		time.Sleep(3 * time.Second)
		p.over(t, "time-out", true)
		poll(h, 0, 0).over(t, "no time", true)
		poll(h, 0, -1).over(t, "less than no time", true)

		p = poll(h, 0, time.Hour)
		g.RemoveCard(0)
		p.over(t, "removal", true)
		want(t, "presence", h.ICCPresence(0), ICCNotPresent)
		p = poll(h, 0, time.Hour)
		g.RemoveCard(1)
		p.over(t, "removal in another slot", false)
		g.InsertCard(0, card(ccidsim.TwoSlots))
		p.over(t, "insertion", true)
		want(t, "presence", h.ICCPresence(0), Success)

		p = poll(h, 0, time.Hour)
		want(t, "stop", h.StopPolling(0), Success)
		p.over(t, "stop", true)
		want(t, "stop", h.StopPolling(0), Success)
		want(t, "stop", h.StopPolling(0), Success)
		poll(h, 0, time.Hour).over(t, "stop before the poll", true)
		p = poll(h, 0, time.Hour)
		p.over(t, "nothing new", false)
		began := time.Now()
		<-p
		if d := time.Since(began); d > maxPoll {
			t.Errorf("a poll took %v", d)
		}

		p = poll(h, 0, time.Hour)
		g.Unplug()
		p.over(t, "unplug", true)
		poll(h, 0, time.Hour).over(t, "unplug, before the host has asked", true)
		want(t, "presence", h.ICCPresence(0), ICCNotPresent)
		p = poll(h, 0, time.Hour)
		p.over(t, "unplug, when the host knows", false)
		want(t, "close", h.CloseChannel(0), Success)
		synctest.Wait()
		if r := <-p; r != CommunicationError {
			t.Errorf("after close: %v", r)
		}
	})
}

// TestCardChanged: a card that was out between two questions shows as absent
// once, however it is told.
func TestCardChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bus
		g := b.plug(ccidsim.TwoSlots)
		h := b.handler(t)
		ready(t, h, 0, g)
		time.Sleep(2 * time.Second)
		want(t, "presence", h.ICCPresence(0), Success)
		for range 3 {
			p := poll(h, 0, time.Hour)
			g.RemoveCard(0)
			g.InsertCard(0, card(ccidsim.TwoSlots))
			p.over(t, "another card", true)
			_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
			want(t, "transmit to another card", r, CommunicationError)
			want(t, "presence", h.ICCPresence(0), ICCNotPresent)
			poll(h, 0, time.Hour).over(t, "the card that is there", true)
			want(t, "presence", h.ICCPresence(0), Success)
			want(t, "presence", h.ICCPresence(0), Success)
			_, r = h.PowerICC(0, PowerUp, make([]byte, MaxATR))
			want(t, "power up", r, Success)
			want(t, "presence", h.ICCPresence(0), Success)
			p = poll(h, 0, time.Second)
			p.over(t, "nothing new", false)
			<-p
		}
		g.RemoveCard(0)
		synctest.Wait()
		_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
		want(t, "transmit to no card", r, ICCNotPresent)
		_, r = h.PowerICC(0, PowerUp, make([]byte, MaxATR))
		want(t, "power up of no card", r, ICCNotPresent)
		_, r = h.PowerICC(0, PowerDown, nil)
		want(t, "power down of no card", r, Success)
		want(t, "close", h.CloseChannel(0), Success)
	})
}

// TestFailing: a reader that does not respond is in error for the host, which is
// sent to ask again, until it responds.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bus
		g := b.plug(ccidsim.KAZTOKEN)
		h := b.handler(t)
		ready(t, h, 0, g)
		want(t, "presence", h.ICCPresence(0), Success)
		p := poll(h, 0, time.Hour)
		g.Inject(ccidsim.Fault{Where: ccidsim.Out, Kind: ccidsim.Hang, Times: ccidsim.Forever})
		_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
		want(t, "transmit", r, ResponseTimeout)
		for range 3 {
			if _, r = h.PowerICC(0, PowerUp, make([]byte, MaxATR)); r == Success {
				t.Fatal("a reader that hangs has powered up a card")
			}
		}
		p.over(t, "the reader does not respond", true)
		asked := 0
		for h.ICCPresence(0) != Success {
			if asked++; asked == 5 {
				g.ClearFaults()
			}
			if asked > 100 {
				t.Fatal("the reader does not come back")
			}
			p := poll(h, 0, time.Hour)
			began := time.Now()
			p.over(t, fmt.Sprint("at once, ", asked), false)
			want(t, "poll", <-p, Success)
			if d := time.Since(began); d > failingPoll {
				t.Fatalf("asked again after %v", d)
			}
		}
		if asked < 5 {
			t.Errorf("it was asked %d times", asked)
		}
		_, r = h.PowerICC(0, PowerUp, make([]byte, MaxATR))
		want(t, "power up", r, Success)
		echo(t, h, 0, 1)
		want(t, "close", h.CloseChannel(0), Success)
	})
}
