package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// Changes calls signal whenever [Find] may have another answer than before, and once
// at the beginning, until ctx ends. It opens no token and keeps nobody from one.
// signal must not block, and is not called by two goroutines at a time. The error is
// that of the options or of ctx.
func Changes(ctx context.Context, o Options, signal func()) error {
	r, err := o.road()
	if err != nil {
		return err
	}
	log := o.Log
	if log == nil {
		log = silent()
	}
	var (
		mu sync.Mutex // one signal at a time
		wg sync.WaitGroup
	)
	told := func() {
		mu.Lock()
		defer mu.Unlock()
		signal()
	}
	told()
	switch r := r.(type) {
	case *usbRoad:
		wg.Go(func() { watchSource(ctx, r.source, told, log) })
	case *serviceRoad:
		wg.Go(func() { watchService(ctx, r, told, log) })
	case *autoRoad:
		wg.Go(func() { watchSource(ctx, r.direct.source, told, log) })
		wg.Go(func() { watchService(ctx, r.service, told, log) })
	}
	<-ctx.Done()
	wg.Wait()
	return ctx.Err()
}

// watchSource signals when a device was left alone by reports for a moment.
func watchSource(ctx context.Context, source Source, signal func(), log *logrus.Logger) {
	for delay := backoffMin; ; delay = min(2*delay, backoffMax) {
		err := followSource(ctx, source, signal)
		if ctx.Err() != nil {
			return
		}
		log.WithError(err).WithField("retry", delay).Warn("hot-plug watch failed")
		if !sleep(ctx, nil, delay) {
			return
		}
	}
}

func followSource(ctx context.Context, source Source, signal func()) error {
	w, err := source.Watch()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		w.Close()
		wg.Wait()
	}()
	notices := make(chan error, noticeQueue)
	wg.Go(func() {
		for {
			_, err := w.Next(ctx)
			select {
			case notices <- err:
			case <-ctx.Done():
				return
			}
			if err != nil && !errors.Is(err, ErrOverrun) {
				return
			}
		}
	})
	signal() // what happened before the watch began
	// A device that is plugged in is reported first, gets its permissions then, and
	// may be taken by a smart-card service after that.
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		select {
		case err := <-notices:
			if err != nil && !errors.Is(err, ErrOverrun) {
				return err
			}
			signal()
			quiet.Reset(settle)
		case <-quiet.C:
			signal()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watchService signals when the readers of a service change, and when it comes or
// goes.
func watchService(ctx context.Context, r *serviceRoad, signal func(), log *logrus.Logger) {
	for delay := backoffMin; ; delay = min(2*delay, backoffMax) {
		began := time.Now()
		err := r.followReaders(ctx, signal)
		if ctx.Err() != nil {
			return
		}
		log.WithError(err).WithField("retry", delay).Debug("no smart-card service to watch")
		if time.Since(began) > backoffMax {
			delay = backoffMin
			signal()
		}
		if !sleep(ctx, nil, delay) {
			return
		}
	}
}

func (r *serviceRoad) followReaders(ctx context.Context, signal func()) error {
	service, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer service.Close() // nothing is connected
	known, err := service.Readers(ctx)
	for err == nil {
		signal()
		known, err = service.Wait(ctx, known)
	}
	signal() // it has ended
	return err
}

// Attached names a candidate for as long as it stays plugged in: another device, or
// the same one plugged in again, has another name, as far as the road tells.
func (c Candidate) Attached() string {
	if c.Backend == "pcsc" {
		return c.Backend + " " + c.Name
	}
	a := addressOf(c.Device)
	return fmt.Sprintf("%s %s %d:%d %s %d.%d", c.Backend, c.Device.Port, a.bus, a.addr, c.Device.ID(), c.Interface.Number, c.Slot)
}
