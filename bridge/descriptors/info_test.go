package descriptors

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

func TestInfo(t *testing.T) {
	dev := usb.Info{Bus: 1, Addr: 7, Port: "1-1.4", Vendor: 0x0a89, Product: 0x0035, Release: 0x0102, Manufacturer: "Maker\x00\n", ProductName: "Thing", Serial: "A\tB"}
	ifc := usb.Interface{Configuration: 1, Number: 2, Reader: usb.ClassDescriptor{Protocols: 3, MaxMessageLength: 271, PINSupport: 2}}
	want := bridge.Info{
		Vendor: 0x0a89, Product: 0x0035, Release: 0x0102, Manufacturer: "Maker..", ProductName: "Thing", Serial: "A.B",
		Bus: 1, Address: 7, Path: "1-1.4:1.2", MaxInput: 261, Protocols: []iso7816.Protocol{iso7816.T0, iso7816.T1},
		Features: []bridge.Feature{{Tag: 7, Code: wire.CtlModifyPINDirect}, {Tag: 10, Code: wire.CtlPINProperties}},
	}
	if diff := cmp.Diff(want, Info(dev, ifc)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSetProperties(t *testing.T) {
	for name, c := range map[string]struct {
		list []byte
		want bool
	}{
		"none":    {nil, false},
		"short":   {[]byte{9, 1, 1, 10, 4, 0, 0, 0, 0}, false},
		"long":    {[]byte{9, 1, 1, 10, 4, 0, 0, 1, 0}, true},
		"cut off": {[]byte{10, 4, 1}, false},
		"no end":  {[]byte{9}, false},
	} {
		var i bridge.Info
		if SetProperties(&i, c.list); i.Extended != c.want || !cmp.Equal(i.Properties, c.list) {
			t.Errorf("%s: got %v, % X", name, i.Extended, i.Properties)
		}
	}
}
