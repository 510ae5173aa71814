package trace

import (
	"fmt"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// commandNames are the instructions of interindustry commands (ISO 7816-4:2013
// table 4, ISO 7816-8:2004, ISO 7816-9:2004), even codes; odd ones have the same
// name and a BER-TLV data field.
var commandNames = map[byte]string{
	0x04: "DEACTIVATE FILE", 0x0C: "ERASE RECORD", 0x0E: "ERASE BINARY", 0x10: "PERFORM SCQL OPERATION",
	0x20: "VERIFY", 0x22: "MANAGE SECURITY ENVIRONMENT", 0x24: "CHANGE REFERENCE DATA",
	0x26: "DISABLE VERIFICATION REQUIREMENT", 0x28: "ENABLE VERIFICATION REQUIREMENT", 0x2A: "PERFORM SECURITY OPERATION",
	0x2C: "RESET RETRY COUNTER", 0x44: "ACTIVATE FILE", 0x46: "GENERATE KEY", 0x70: "MANAGE CHANNEL",
	0x82: "EXTERNAL AUTHENTICATE", 0x84: "GET CHALLENGE", 0x86: "GENERAL AUTHENTICATE", 0x88: "INTERNAL AUTHENTICATE",
	0xA0: "SEARCH BINARY", 0xA2: "SEARCH RECORD", 0xA4: "SELECT", 0xB0: "READ BINARY", 0xB2: "READ RECORD",
	0xC0: "GET RESPONSE", 0xC2: "ENVELOPE", 0xCA: "GET DATA", 0xD0: "WRITE BINARY", 0xD2: "WRITE RECORD",
	0xD6: "UPDATE BINARY", 0xDA: "PUT DATA", 0xDC: "UPDATE RECORD", 0xE0: "CREATE FILE", 0xE2: "APPEND RECORD",
	0xE4: "DELETE FILE", 0xE6: "TERMINATE DF", 0xE8: "TERMINATE EF", 0xFE: "TERMINATE CARD USAGE",
}

// vendorNames are the commands of class 80 of the token's family.
var vendorNames = map[byte]string{
	0x40: "RESET ACCESS RIGHTS", 0x84: "INIT END", 0x8A: "INIT", 0xEC: "ECHO", 0xEE: "ECHO",
}

// CommandName is what the documents call a command, "command 80 12" if they do
// not.
func CommandName(cla, ins byte) string {
	if cla == 0x80 {
		if name, ok := vendorNames[ins]; ok {
			return name
		}
		return fmt.Sprintf("command %02X %02X", cla, ins)
	}
	if name, ok := commandNames[ins&^1]; ok {
		return name
	}
	return fmt.Sprintf("command %02X %02X", cla, ins)
}

// requestNames are the class requests of CCID and ICCD (CCID rev 1.10 §5.3, ICCD
// rev 1.0 §7, §8).
var requestNames = map[byte]string{
	0x01: "ABORT", 0x02: "GET_CLOCK_FREQUENCIES", 0x03: "GET_DATA_RATES",
	0x62: "ICC_POWER_ON", 0x63: "ICC_POWER_OFF", 0x65: "XFR_BLOCK", 0x6F: "DATA_BLOCK", 0x81: "GET_ICC_STATUS", 0xA0: "GET_ICC_STATUS",
}

// standardNames are the standard requests (USB 2.0 §9.4).
var standardNames = map[byte]string{
	0x00: "GET_STATUS", 0x01: "CLEAR_FEATURE", 0x03: "SET_FEATURE", 0x05: "SET_ADDRESS", 0x06: "GET_DESCRIPTOR",
	0x08: "GET_CONFIGURATION", 0x09: "SET_CONFIGURATION", 0x0A: "GET_INTERFACE", 0x0B: "SET_INTERFACE",
}

func requestName(s usb.Setup) string {
	names := standardNames
	if s.RequestType&0x60 != 0 {
		names = requestNames
	}
	if name, ok := names[s.Request]; ok {
		return name
	}
	return fmt.Sprintf("request %02X", s.Request)
}

// statusNames are how transfers end badly.
var statusNames = map[int32]string{
	statusNoEntry: "no answer in time, or given up", statusIO: "transfer error", statusStall: "stall", statusProtocol: "bus error",
	statusOverflow: "too much data", statusShutdown: "the device is gone", statusShort: "only a part went through",
	-19: "the device is gone", -62: "no answer on the bus", -84: "CRC error on the bus", -104: "withdrawn", -110: "timed out",
}

func statusName(status int32) string {
	if name, ok := statusNames[status]; ok {
		return name
	}
	return fmt.Sprintf("error %d", -status)
}

// statusWords spells a status word.
func statusWords(sw iso7816.SW) string {
	if sw.OK() {
		return "done"
	}
	return sw.Words()
}
