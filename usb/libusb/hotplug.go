//go:build cgo && !nolibusb && (darwin || (linux && libusb_hotplug))

package libusb

/*
#cgo pkg-config: libusb-1.0
#include <stdint.h>
#include <libusb.h>

extern int kaztokenHotplug(uintptr_t);

static int LIBUSB_CALL kt_changed(libusb_context *ctx, libusb_device *dev, libusb_hotplug_event event, void *token) {
	return kaztokenHotplug((uintptr_t)token);
}

static int kt_register(libusb_context *ctx, uintptr_t token, libusb_hotplug_callback_handle *h) {
	return libusb_hotplug_register_callback(ctx,
		LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED | LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT, 0,
		LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY, LIBUSB_HOTPLUG_MATCH_ANY,
		kt_changed, (void *)token, h);
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"

	"github.com/google/gousb"
)

// Watch puts a value into changed whenever a device comes or goes, until ctx
// ends, and returns why it ended. A value that is not taken before the next is
// not repeated: each means "enumerate again". Where libusb has no hot-plug
// notification the error is errors.ErrUnsupported, at once.
//
// It has a libusb context of its own, in which nothing is opened: its thread
// sleeps until something happens, and no callback does any I/O. The file is
// built on macOS, where nothing else tells; the tag libusb_hotplug builds it on
// Linux too, for checking it.
func Watch(ctx context.Context, changed chan<- struct{}) error {
	if C.libusb_has_capability(C.LIBUSB_CAP_HAS_HOTPLUG) == 0 {
		return fmt.Errorf("hot-plug notification of libusb: %w", errors.ErrUnsupported)
	}
	var lib *C.libusb_context
	if r := C.libusb_init(&lib); r != 0 {
		return fmt.Errorf("initialising libusb: %w", translate(gousb.Error(r)))
	}
	defer C.libusb_exit(lib)

	token := cgo.NewHandle(changed)
	defer token.Delete()
	var h C.libusb_hotplug_callback_handle
	if r := C.kt_register(lib, C.uintptr_t(token), &h); r != 0 {
		return fmt.Errorf("registering for hot-plug: %w", translate(gousb.Error(r)))
	}
	defer C.libusb_hotplug_deregister_callback(lib, h)

	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		C.libusb_interrupt_event_handler(lib)
	})
	defer func() {
		if !stop() {
			<-woken // it uses lib
		}
	}()
	for ctx.Err() == nil {
		if r := C.libusb_handle_events(lib); r != 0 && gousb.Error(r) != gousb.ErrorInterrupted {
			return fmt.Errorf("waiting for hot-plug: %w", translate(gousb.Error(r)))
		}
	}
	return ctx.Err()
}

//export kaztokenHotplug
func kaztokenHotplug(token C.uintptr_t) C.int {
	select {
	case cgo.Handle(token).Value().(chan<- struct{}) <- struct{}{}:
	default:
	}
	return 0 // stay registered
}
