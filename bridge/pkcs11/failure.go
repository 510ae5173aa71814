package pkcs11

import (
	"context"
	"crypto/rsa"
	"errors"

	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
)

// rvOf gives the return value of an error from below.
func rvOf(err error) Rv {
	var (
		rv       Rv
		pin      *firmware.PINError
		length   *firmware.PINLengthError
		policy   *firmware.PolicyError
		role     *firmware.RoleError
		state    *firmware.StateError
		option   *firmware.OptionError
		name     *firmware.NameError
		statusOf *firmware.StatusError
	)
	switch {
	case errors.As(err, &rv):
		return rv
	case errors.As(err, &pin):
		if pin.Blocked {
			return ErrPINLocked
		}
		return ErrPINIncorrect
	case errors.As(err, &length):
		return ErrPINLenRange
	case errors.As(err, &policy):
		return ErrActionProhibited
	case errors.As(err, &role), errors.Is(err, iso7816.ErrSecurityStatus):
		return ErrUserNotLoggedIn
	case errors.As(err, &state):
		switch {
		case state.Op == firmware.OpLogin:
			return ErrUserPINNotInitialized
		case state.State == firmware.StateVendor:
			return ErrTokenWriteProtected
		}
		return ErrTokenNotRecognized
	case errors.As(err, &option):
		if option.Option == "RSA bits" {
			return ErrKeySizeRange
		}
		return ErrAttributeValueInvalid
	case errors.As(err, &name):
		return ErrArgumentsBad
	case errors.Is(err, firmware.ErrNoSpace):
		return ErrDeviceMemory
	case errors.Is(err, firmware.ErrNotFound):
		return ErrObjectHandleInvalid
	case errors.Is(err, firmware.ErrExists):
		return ErrAttributeValueInvalid
	case errors.Is(err, firmware.ErrUnsupported):
		return ErrFunctionNotSupported
	case errors.Is(err, firmware.ErrLoginDisturbed):
		return ErrFunctionFailed
	case errors.Is(err, rsa.ErrDecryption):
		return ErrEncryptedDataInvalid
	case errors.Is(err, rsa.ErrMessageTooLong):
		return ErrDataLenRange
	case errors.As(err, &statusOf), errors.Is(err, firmware.ErrAnswer), errors.Is(err, firmware.ErrDirectory):
		return ErrDeviceError
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ErrFunctionFailed
	}
	return ErrDeviceError
}
