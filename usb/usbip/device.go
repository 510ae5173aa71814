// Package usbip serves software USB devices to a real kernel over USB/IP 1.1.1
// (Linux Documentation/usb/usbip_protocol.rst).
//
// A [Server] exports any number of [Device] values under bus ids "1-1", "1-2"
// and so on. A Linux kernel with the module vhci-hcd imports one: its USB core
// then enumerates the device, loads drivers for it and shows it to libusb,
// usbfs and udev exactly like a token in a socket. The server answers the
// standard requests of chapter 9 of USB 2.0 out of the device's descriptors;
// the device itself sees class and vendor requests and its own endpoints.
//
// The client half is here too: [Import] makes the handshake on any platform,
// and VHCI (Linux) hands the socket to the kernel, so that no usbip tool is
// needed.
package usbip

import (
	"context"

	"kaztoken/usb"
)

// Device is a USB device in software: one configuration's endpoints and the
// class requests behind them.
//
// The server calls In and Out from one goroutine per endpoint, so calls on one
// endpoint never overlap while calls on different endpoints do. Control is
// called from one goroutine. Every call must return soon after its context
// ends; the context must not be kept after the call.
//
// Errors: [usb.ErrStall] halts the endpoint (a control request is only refused),
// [usb.ErrGone] unplugs the device, [usb.ErrOverflow], [usb.ErrTimeout] and
// [usb.ErrIO] reach the importing kernel as the status of a host controller.
type Device interface {
	// Info gives ids, strings and descriptors. It is read once, when the device
	// is added. Info.Descriptors holds the 18-byte device descriptor and every
	// configuration descriptor; bus, address and port are the server's affair.
	Info() usb.Info

	// Control answers a class or vendor request, or GET_DESCRIPTOR addressed to
	// an interface, which asks for a descriptor of its class: whatever is not
	// known is usb.ErrStall. data is the data stage: to be
	// filled up to the returned count if s.In(), the bytes that came otherwise
	// (the count is then not looked at). It belongs to the caller.
	Control(ctx context.Context, s usb.Setup, data []byte) (int, error)

	// Out takes one bulk or interrupt OUT transfer and returns when the device
	// has taken all of it. data belongs to the caller and is reused.
	Out(ctx context.Context, ep byte, data []byte) error

	// In makes one bulk or interrupt IN transfer the way the bus does: it waits
	// for data, moves packets of the endpoint's size until buf is full or a
	// shorter packet came (n = 0 is a zero-length packet), and keeps what is
	// left for the next call. A packet that does not fit into what remains of
	// buf is usb.ErrOverflow.
	//
	// When ctx ends first, In returns ctx.Err() and n counts what it had moved
	// already: those bytes still reach the host. Bytes that were not counted
	// stay in the device.
	In(ctx context.Context, ep byte, buf []byte) (n int, err error)

	// ClearHalt tells that the host cleared the halt of ep, by
	// CLEAR_FEATURE(ENDPOINT_HALT), SET_INTERFACE or SET_CONFIGURATION: data
	// toggles start again.
	ClearHalt(ep byte)

	// Gone is closed when the device is unplugged. Its importer's connection
	// is then closed, which the kernel takes as a disconnect, and it is no
	// longer exported.
	Gone() <-chan struct{}
}
