package client

import (
	"context"
	"errors"

	"kaztoken/bridge/wire"
)

var (
	// ErrAnswer: the service sent what it may not send. It comes in an [*Error].
	ErrAnswer = errors.New("malformed answer of the smart-card service")
	// ErrClosed: the Context was closed, or the Card disconnected, by this
	// program. It comes in an [*Error].
	ErrClosed = errors.New("connection to the smart-card service is closed")
)

// Error says why a call failed. Compare it by its code,
// errors.Is(err, wire.SharingViolation), or by its cause,
// errors.Is(err, context.Canceled).
type Error struct {
	Op string // what was being done: "transmit"
	// Code is what the service said or, if Err is set, what the library would say:
	//
	//	wire.NoService          nobody listens at the path
	//	wire.SecurityViolation  the service closed the connection at once: it does
	//	                        not let this user in, or has too many clients
	//	wire.ServiceStopped     the two have no protocol in common
	//	wire.CommError          the connection broke, or ErrAnswer
	//	wire.Cancelled          the context.Context was cancelled
	//	wire.Timeout            its deadline passed
	//	wire.InvalidHandle      ErrClosed
	//	wire.InvalidParameter   an argument that no message can carry
	Code wire.Result
	Err  error // the cause on this side; nil if the service gave the code
	// Sent: the card may have carried the command out although no answer came.
	Sent bool
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Op + ": " + e.Code.Error()
	case e.Code == wire.Cancelled || e.Code == wire.Timeout || e.Code == wire.InvalidHandle:
		return e.Op + ": " + e.Err.Error()
	}
	return e.Op + ": " + e.Code.Error() + ": " + e.Err.Error()
}

// Unwrap gives the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// Failed makes the error of an operation out of a code, an error of ctx, an
// [*Error] of another operation or what else went wrong with the connection; nil
// stays nil. It is for other ways to a service.
func Failed(op string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Code: wire.CommError, Err: err}
	var known *Error
	switch {
	case errors.As(err, &known):
		*e = *known
		e.Op = op
	case errors.As(err, &e.Code):
		e.Err = nil
	case errors.Is(err, context.Canceled):
		e.Code = wire.Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = wire.Timeout
	case errors.Is(err, ErrClosed):
		e.Code = wire.InvalidHandle
	}
	return e
}

// CarriedOut reports whether the card may have carried out a command to which
// the service answers with a code; the others come before it is sent.
func CarriedOut(code wire.Result) bool {
	switch code {
	case wire.SharingViolation, wire.CardReset, wire.CardRemoved, wire.ProtoMismatch, wire.InvalidValue,
		wire.InvalidHandle, wire.InvalidParameter:
		return false
	}
	return true
}
