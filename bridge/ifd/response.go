package ifd

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Response is what a function of an IFD handler returns (RESPONSECODE).
type Response int

// The responses of IFD handler 3.0.
const (
	Success              Response = 0
	ErrorTag             Response = 600 // no such tag
	ErrorSetFailure      Response = 601
	ErrorValueReadOnly   Response = 602
	ErrorPTSFailure      Response = 605 // the card does not take the parameters
	ErrorNotSupported    Response = 606
	ProtocolNotSupported Response = 607
	ErrorPowerAction     Response = 608 // the card does not come up
	CommunicationError   Response = 612
	ResponseTimeout      Response = 613
	NotSupported         Response = 614
	ICCPresent           Response = 615
	ICCNotPresent        Response = 616
	NoSuchDevice         Response = 617 // the reader has left
	InsufficientBuffer   Response = 618
)

var responses = map[Response]string{
	Success:              "SUCCESS",
	ErrorTag:             "ERROR_TAG",
	ErrorSetFailure:      "ERROR_SET_FAILURE",
	ErrorValueReadOnly:   "ERROR_VALUE_READ_ONLY",
	ErrorPTSFailure:      "ERROR_PTS_FAILURE",
	ErrorNotSupported:    "ERROR_NOT_SUPPORTED",
	ProtocolNotSupported: "PROTOCOL_NOT_SUPPORTED",
	ErrorPowerAction:     "ERROR_POWER_ACTION",
	CommunicationError:   "COMMUNICATION_ERROR",
	ResponseTimeout:      "RESPONSE_TIMEOUT",
	NotSupported:         "NOT_SUPPORTED",
	ICCPresent:           "ICC_PRESENT",
	ICCNotPresent:        "ICC_NOT_PRESENT",
	NoSuchDevice:         "NO_SUCH_DEVICE",
	InsufficientBuffer:   "INSUFFICIENT_BUFFER",
}

func (r Response) String() string {
	if s, ok := responses[r]; ok {
		return s
	}
	return fmt.Sprintf("Response(%d)", int(r))
}

// meanings is the one table from errors of driver and transport to responses.
// The first that fits counts: a reader that has left explains everything else.
// An error that is not in it is a failure of what was being done.
var meanings = []struct {
	err      error
	response Response
}{
	{usb.ErrGone, NoSuchDevice},
	{usb.ErrClosed, NoSuchDevice},
	{ccid.ErrNoCard, ICCNotPresent},
	{ccid.ErrProtocolMismatch, ProtocolNotSupported},
	{ccid.ErrNotSupported, NotSupported},
	{iso7816.ErrAPDU, InsufficientBuffer}, // what was to be sent is cut short
	{usb.ErrTimeout, ResponseTimeout},
	{context.DeadlineExceeded, ResponseTimeout},
}

// responseTo translates an error; otherwise is for one that has no meaning of
// its own.
func responseTo(err error, otherwise Response) Response {
	if err == nil {
		return Success
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.response
		}
	}
	return otherwise
}
