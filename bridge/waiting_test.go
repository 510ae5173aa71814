package bridge_test

import (
	"sync"
	"testing"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
)

// TestNoEventIsLost: programs of every protocol watch a card that comes and goes
// as fast as it can, and others that connect. What they read is always the
// message that it should be, and each has seen the last change in the end: a
// change that is neither in an array nor told would leave it waiting.
func TestNoEventIsLost(t *testing.T) {
	const changes = 1000
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	eventually(t, "the reader is there", func() bool { return s.reader().Visible })
	var watchers, others sync.WaitGroup
	seen := make(chan struct{}, changes) // by one of them
	for i, minor := range []int32{3, 4, 5, 6, 6} {
		p := s.established(minor)
		if err := p.nc.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
			t.Fatal(err)
		}
		watchers.Go(func() {
			for {
				var recs []wire.Reader
				switch minor {
				case 3:
					p.send(wire.CmdGetReadersState, nil)
					recs = p.records(16)
					p.send(wire.CmdWaitReaderStateChange, wire.Event{}.AppendTo(nil))
				case 6:
					b := frame(wire.CmdWaitReaderStateChange, nil)
					if _, err := p.nc.Write(append(b, frame(wire.CmdGetReadersStateSize, nil)...)); err != nil {
						t.Error(err)
						return
					}
					if n := parse(p, wire.ReadersSizeSize, wire.ParseReadersSize); n != 16 {
						t.Errorf("watcher %d: size %d", i, n)
						return
					}
					p.send(wire.CmdGetReadersStateArray, nil)
					recs = p.records(16)
				default:
					recs = p.wait()
				}
				if len(recs) != 1 || recs[0].Name.String() != readerName {
					t.Errorf("watcher %d: %+v", i, recs)
					return
				}
				last := recs[0].Counter == changes && recs[0].Sharing == 0
				if last {
					p.nc.Close()
					return
				}
				if e := p.event(); e.Result != wire.Success || e.Timeout > 2 {
					t.Errorf("watcher %d: event %+v", i, e)
					return
				}
				if i == 0 {
					select {
					case seen <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	stop := make(chan struct{})
	for range 2 {
		p := s.established(4)
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if p.connect(wire.ShareDirect).Result == wire.Success {
					p.disconnect(wire.LeaveCard)
				}
			}
		})
	}
	for i := range changes / 2 {
		slot.Remove()
		eventually(t, "the removal is known", func() bool { return s.reader().State == wire.NoCard.String() })
		slot.Insert(bridgetest.NewEcho())
		eventually(t, "the card is known", func() bool { return s.reader().State == wire.CardReady.String() })
		if i%10 == 0 {
			<-seen // the watchers shall have a say
		}
	}
	close(stop)
	others.Wait()
	watchers.Wait()
}
