package usbip

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// List asks the server behind conn what it exports. The server closes the
// connection after its answer.
func List(conn net.Conn) ([]Exported, error) {
	if _, err := conn.Write(opHeader{version: version, code: opReqDevlist}.appendTo(nil)); err != nil {
		return nil, fmt.Errorf("asking for the device list: %w", err)
	}
	list, err := readDevlist(conn)
	if err != nil {
		return nil, fmt.Errorf("reading the device list: %w", err)
	}
	return list, nil
}

// readDevlist reads OP_REP_DEVLIST. What it keeps is bounded by what arrives,
// not by the number announced.
func readDevlist(r io.Reader) ([]Exported, error) {
	var b [deviceSize]byte
	if err := readReply(r, opRepDevlist); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(r, b[:4]); err != nil {
		return nil, err
	}
	var list []Exported
	for n := binary.BigEndian.Uint32(b[:4]); n > 0; n-- {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, noEOF(err)
		}
		e, err := parseExported(b[:])
		if err != nil {
			return nil, err
		}
		for i := range e.Interfaces {
			if _, err := io.ReadFull(r, b[:interfaceSize]); err != nil {
				return nil, noEOF(err)
			}
			e.Interfaces[i] = ExportedInterface{b[0], b[1], b[2]}
		}
		list = append(list, e)
	}
	return list, nil
}

// Import asks the server behind conn for the device of that bus id. After it
// the connection carries URB traffic of that device and is to be handed to a
// virtual host controller. Nothing of that traffic is read ahead.
func Import(conn net.Conn, busID string) (Exported, error) {
	request, err := appendBusID(opHeader{version: version, code: opReqImport}.appendTo(nil), busID)
	if err != nil {
		return Exported{}, fmt.Errorf("importing: bus id %w", err)
	}
	if _, err := conn.Write(request); err != nil {
		return Exported{}, fmt.Errorf("importing %s: %w", busID, err)
	}
	e, err := readImport(conn)
	if err != nil {
		return Exported{}, fmt.Errorf("importing %s: %w", busID, err)
	}
	if e.BusID != busID {
		return Exported{}, fmt.Errorf("importing %s: the server gave %q", busID, e.BusID)
	}
	return e, nil
}

func readImport(r io.Reader) (Exported, error) {
	if err := readReply(r, opRepImport); err != nil {
		return Exported{}, err
	}
	var b [deviceSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Exported{}, noEOF(err)
	}
	return parseExported(b[:])
}

// readReply reads the head of a reply and checks that it is the wanted one.
func readReply(r io.Reader, code uint16) error {
	var b [opHeaderSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return noEOF(err)
	}
	h, err := parseOpHeader(b[:])
	if err != nil {
		return err
	}
	if h.code != code {
		return fmt.Errorf("USB/IP reply %04x, want %04x", h.code, code)
	}
	if h.status != 0 {
		return fmt.Errorf("refused with status %d: not exported, or imported by another", h.status)
	}
	return nil
}

// noEOF turns the end of the stream inside a message into an error that says so.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
