package usb

import (
	"errors"
	"fmt"
	"iter"
)

// What can be wrong with a device's descriptors.
var (
	// ErrNoReader: nothing in the device claims to be a smart-card reader.
	ErrNoReader = errors.New("no smart-card reader interface")
	// ErrDescriptor: the descriptors contradict themselves or the specification
	// in a way that cannot be repaired.
	ErrDescriptor = errors.New("malformed USB descriptor")
)

// Interface classes of readers.
const (
	classSmartCard = 0x0B // USB-IF: Smart Card Device Class
	classVendor    = 0xFF // readers older than the class, and some since
)

// Kind says how the host talks to a reader interface.
type Kind byte

// The kinds of reader interfaces.
const (
	CCID  Kind = iota // bulk pipes (CCID rev 1.10)
	ICCDA             // control pipe, version A (ICCD rev 1.0 §7)
	ICCDB             // control pipe, version B (ICCD rev 1.0 §8)
)

func (k Kind) String() string {
	switch k {
	case CCID:
		return "CCID"
	case ICCDA:
		return "ICCD version A"
	case ICCDB:
		return "ICCD version B"
	}
	return fmt.Sprintf("Kind(%d)", byte(k))
}

// Interface is one reader interface of a device, in the alternate setting to
// be used.
type Interface struct {
	Configuration byte // bConfigurationValue of the configuration it belongs to
	Number        byte // bInterfaceNumber
	Alternate     byte // bAlternateSetting
	Class         byte // bInterfaceClass: 0B, or FF for a vendor class reader
	SubClass      byte // bInterfaceSubClass
	Protocol      byte // bInterfaceProtocol; Kind is what to go by
	StringIndex   byte // iInterface, 0 if there is no name

	Kind Kind

	// Endpoints; Address 0 is none. CCID has both bulk endpoints, ICCD none.
	BulkOut, BulkIn, Interrupt Endpoint

	Alternates int // alternate settings that the interface number has, at least 1

	Reader ClassDescriptor

	// Repairs tells what the descriptors declare wrongly and what is done
	// about it: short sentences for a log, at most 16.
	Repairs []string
}

// AppendTo appends the interface descriptor, the class descriptor and the
// endpoints of i to dst, in the order of CCID rev 1.10 §5. Configuration,
// Kind, Alternates and Repairs are not part of it.
func (i Interface) AppendTo(dst []byte) []byte {
	at := len(dst) + 4
	dst = append(dst, interfaceLen, typeInterface, i.Number, i.Alternate, 0, i.Class, i.SubClass, i.Protocol, i.StringIndex)
	dst = i.Reader.AppendTo(dst)
	for _, e := range []Endpoint{i.BulkOut, i.BulkIn, i.Interrupt} {
		if e.Address != 0 {
			dst[at]++
			dst = e.AppendTo(dst)
		}
	}
	return dst
}

// InterfaceOption changes what [Info.Interfaces] accepts.
type InterfaceOption func(*acceptance)

type acceptance struct {
	vendorClass []ID
	any         bool
}

// AllowVendorClass accepts interfaces of the vendor class on these devices
// too, beside those of [VendorClassReaders].
func AllowVendorClass(ids ...ID) InterfaceOption {
	return func(a *acceptance) { a.vendorClass = append(a.vendorClass, ids...) }
}

// AllowAnyVendorClass accepts an interface of the vendor class on whatever
// device, if it has a valid class descriptor: for a device that the caller
// knows to be a reader.
func AllowAnyVendorClass() InterfaceOption {
	return func(a *acceptance) { a.any = true }
}

// Interfaces finds every reader interface of the configuration in force, in
// the order of the descriptors; of an unconfigured device, those of the first
// configuration that has any. Several interfaces are several readers.
//
// The error is ErrNoReader if nothing claims to be a reader, and ErrDescriptor
// if something does but cannot be used as one. An unusable interface beside a
// usable one is mentioned in the Repairs of the latter.
func (i Info) Interfaces(opts ...InterfaceOption) ([]Interface, error) {
	var a acceptance
	for _, o := range opts {
		o(&a)
	}
	if _, err := ParseDeviceDescriptor(i.Descriptors); err != nil {
		return nil, err
	}
	vendor := a.any || allows(vendorClassReaders, i) || allows(a.vendorClass, i)

	var first error
	inForce := false
	for _, c := range configurations(i.Descriptors[deviceLen:]) {
		if i.Configuration != 0 && c.value != i.Configuration {
			continue
		}
		inForce = true
		found, err := c.interfaces(vendor)
		if len(found) > 0 {
			return found, nil
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case first != nil:
		return nil, first
	case !inForce && i.Configuration != 0:
		return nil, fmt.Errorf("configuration %d is not among the descriptors: %w", i.Configuration, ErrDescriptor)
	}
	return nil, ErrNoReader
}

// interfaces gives the usable reader interfaces of c, or the reason why the
// first that claims to be one is not.
func (c configuration) interfaces(vendor bool) ([]Interface, error) {
	var (
		byNumber [256]struct {
			ifc        *Interface
			alternates int
			err        error
		}
		order    []byte
		found    []Interface
		failures []error
	)
	for d, span := range c.settings() {
		n := &byNumber[d[2]]
		if n.alternates++; n.alternates == 1 {
			order = append(order, d[2])
		}
		if n.ifc != nil || !claimsReader(d, vendor) {
			continue
		}
		ifc, err := parseInterface(d, span)
		switch {
		case err == nil:
			ifc.Configuration = c.value
			n.ifc = &ifc
		case n.err == nil && !(d[5] == classVendor && errors.Is(err, errNoClassDescriptor)):
			n.err = fmt.Errorf("interface %d: %w", d[2], err)
		}
	}
	for _, number := range order {
		switch n := &byNumber[number]; {
		case n.ifc != nil:
			n.ifc.Alternates = n.alternates
			found = append(found, *n.ifc)
		case n.err != nil:
			failures = append(failures, n.err)
		}
	}
	switch {
	case len(found) == 0 && len(failures) == 0:
		return nil, nil
	case len(found) == 0:
		return nil, failures[0]
	}
	if c.short {
		found[0].repaired("the configuration descriptor is cut short")
	}
	for _, err := range failures {
		found[0].repaired("left out: " + err.Error())
	}
	return found, nil
}

// settings walks the interface descriptors of c. Each comes with what belongs
// to it: all bytes up to the next interface descriptor.
func (c configuration) settings() iter.Seq2[[]byte, []byte] {
	return func(yield func(d, span []byte) bool) {
		var d []byte
		start, at := 0, 0
		for t, next := range chain(c.body) {
			if t == typeInterface && len(next) >= interfaceLen {
				if d != nil && !yield(d, c.body[start:at]) {
					return
				}
				d, start = next, at+len(next)
			}
			at += len(next)
		}
		if d != nil {
			yield(d, c.body[start:at])
		}
	}
}

// claimsReader reports whether interface descriptor d is that of a reader, as
// far as its class tells. On a device of the list, the vendor class does too.
func claimsReader(d []byte, vendor bool) bool {
	switch class, protocol := d[5], d[7]; class {
	case classSmartCard:
		return true
	case classVendor:
		return vendor && protocol <= 2
	}
	return false
}

// parseInterface reads interface descriptor d and the descriptors behind it.
func parseInterface(d, span []byte) (Interface, error) {
	ifc := Interface{
		Number: d[2], Alternate: d[3], Class: d[5], SubClass: d[6], Protocol: d[7], StringIndex: d[8],
	}
	reader, repairs, err := findClassDescriptor(span)
	if err != nil {
		return Interface{}, err
	}
	ifc.Reader = reader
	ifc.repaired(repairs...)
	if ifc.Class == classSmartCard && ifc.SubClass != 0 {
		ifc.repaired(fmt.Sprintf("bInterfaceSubClass %d is not defined: taken as 0", ifc.SubClass))
	}
	ifc.findEndpoints(span)
	return ifc, ifc.decideKind()
}

// errNoClassDescriptor says that there is not even a bad one.
var errNoClassDescriptor = fmt.Errorf("no class descriptor: %w", ErrDescriptor)

// findClassDescriptor takes the first valid class descriptor of an interface,
// wherever it stands: some readers have it behind the endpoints. Only if there
// is none does type 0xFF count. HID descriptors are of type 0x21 too, but short.
func findClassDescriptor(span []byte) (ClassDescriptor, []string, error) {
	failed := errNoClassDescriptor
	for _, want := range []byte{typeFunctional, typeVendor} {
		for t, d := range chain(span) {
			if t != want || len(d) < classDescriptorLen {
				continue
			}
			reader, repairs, err := ParseClassDescriptor(d)
			if err == nil {
				return reader, repairs, nil
			}
			if t == typeFunctional && errors.Is(failed, errNoClassDescriptor) {
				failed = err
			}
		}
	}
	return ClassDescriptor{}, nil, failed
}

// findEndpoints takes the first endpoint of each sort. Numbers mean nothing.
func (i *Interface) findEndpoints(span []byte) {
	for t, d := range chain(span) {
		if t != typeEndpoint || len(d) < endpointLen {
			continue
		}
		e := parseEndpoint(d)
		slot := i.endpoint(e)
		switch {
		case slot == nil || slot.Address != 0 || e.Address&0x0F == 0:
		case e.MaxPacketSize == 0:
			i.repaired(fmt.Sprintf("endpoint %#02x has a packet size of 0: ignored", e.Address))
		default:
			*slot = e
		}
	}
}

// endpoint is the field of i for an endpoint like e, nil if there is none.
func (i *Interface) endpoint(e Endpoint) *Endpoint {
	switch kind := e.Attributes & transferType; {
	case kind == bulk && e.In():
		return &i.BulkIn
	case kind == bulk:
		return &i.BulkOut
	case kind == interrupt && e.In():
		return &i.Interrupt
	}
	return nil
}

// decideKind goes by the endpoints before the protocol: a reader with both
// bulk pipes that declares ICCD is an ordinary CCID reader (one was sold).
func (i *Interface) decideKind() error {
	pipes := i.BulkOut.Address != 0 && i.BulkIn.Address != 0
	switch {
	case pipes:
		i.Kind = CCID
		if i.Protocol != 0 {
			i.repaired(fmt.Sprintf("bInterfaceProtocol %d beside bulk pipes: driven as CCID", i.Protocol))
		}
		return nil
	case i.Protocol == 1:
		i.Kind = ICCDA
		if i.Interrupt.Address != 0 {
			i.repaired(fmt.Sprintf("ICCD version A has no notifications: endpoint %#02x ignored", i.Interrupt.Address))
			i.Interrupt = Endpoint{}
		}
	case i.Protocol == 2:
		i.Kind = ICCDB
	default:
		return fmt.Errorf("no pair of bulk endpoints: %w", ErrDescriptor)
	}
	i.BulkOut, i.BulkIn = Endpoint{}, Endpoint{}
	return nil
}

const maxRepairs = 16

// repaired notes sentences until there are enough of them.
func (i *Interface) repaired(sentences ...string) {
	i.Repairs = append(i.Repairs, sentences[:min(len(sentences), maxRepairs-len(i.Repairs))]...)
}
