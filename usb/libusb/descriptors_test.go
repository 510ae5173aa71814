//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"kaztoken/usb"
)

// hostile answers GET_DESCRIPTOR for the device and for configurations with
// what it holds, as far as it goes.
type hostile struct {
	device  []byte
	configs []byte // the same for every index
}

func (h hostile) get(value uint16, data []byte) (int, error) {
	switch value >> 8 {
	case typeDevice:
		return copy(data, h.device), nil
	case typeConfiguration:
		if len(h.configs) == 0 {
			return 0, usb.ErrStall
		}
		return copy(data, h.configs), nil
	}
	return 0, usb.ErrStall
}

var (
	deviceDescriptor = []byte{0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x08, 0x89, 0x0a, 0x35, 0x00, 0x00, 0x01, 0x01, 0x02, 0x00, 0x01}
	configDescriptor = []byte{
		0x09, 0x02, 0x12, 0x00, 0x01, 0x01, 0x00, 0x80, 0x32,
		0x09, 0x04, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x02, 0x00,
	}
)

func TestReadDescriptors(t *testing.T) {
	patch := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	join := func(a, b []byte) []byte { return append(bytes.Clone(a), b...) }
	for _, tc := range []struct {
		name            string
		device, configs []byte
		want            []byte // nil: refused
	}{
		{"ICCD token", deviceDescriptor, configDescriptor, join(deviceDescriptor, configDescriptor)},
		{"two configurations", patch(deviceDescriptor, 17, 2), configDescriptor,
			join(join(patch(deviceDescriptor, 17, 2), configDescriptor), configDescriptor)},
		{"less than announced", deviceDescriptor, patch(configDescriptor, 2, 0xff, 0xff),
			join(deviceDescriptor, configDescriptor)},
		{"short device", deviceDescriptor[:17], configDescriptor, nil},
		{"not a device", patch(deviceDescriptor, 1, 2), configDescriptor, nil},
		{"stalled configuration", deviceDescriptor, nil, nil},
		{"short configuration", deviceDescriptor, configDescriptor[:8], nil},
		{"total too small", deviceDescriptor, patch(configDescriptor, 2, 8, 0), nil},
		{"not a configuration", deviceDescriptor, patch(configDescriptor, 1, 4), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readDescriptors(hostile{tc.device, tc.configs}.get)
			if tc.want == nil {
				if !errors.Is(err, usb.ErrDescriptor) && !errors.Is(err, usb.ErrStall) {
					t.Errorf("got % x, %v", got, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, tc.want) {
				t.Errorf("%v: got % x, want % x", err, got, tc.want)
			}
		})
	}
}

// FuzzReadDescriptors: whatever a device answers, the result is bounded, and a
// walk over the announced lengths ends exactly at its end.
func FuzzReadDescriptors(f *testing.F) {
	f.Add(deviceDescriptor, configDescriptor)
	f.Fuzz(func(t *testing.T, device, configs []byte) {
		got, err := readDescriptors(hostile{device, configs}.get)
		if err != nil {
			return
		}
		if len(got) > deviceLen+maxConfigured*maxConfiguration {
			t.Fatalf("%d bytes", len(got))
		}
		rest := got[deviceLen:]
		for len(rest) > 0 {
			if len(rest) < configurationLen || int(binary.LittleEndian.Uint16(rest[2:])) > len(rest) {
				t.Fatalf("the walk leaves % x", rest)
			}
			rest = rest[binary.LittleEndian.Uint16(rest[2:]):]
		}
	})
}
