package pkcs11

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"testing"

	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
)

// TestRvOf has a row for each error from below.
func TestRvOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Rv
	}{
		{ErrDeviceRemoved, ErrDeviceRemoved},
		{&firmware.PINError{Err: firmware.ErrPINWrong, Left: 3}, ErrPINIncorrect},
		{&firmware.PINError{Err: firmware.ErrPINWrong, Blocked: true}, ErrPINLocked},
		{&firmware.PINError{Err: firmware.ErrPINBlocked, Blocked: true}, ErrPINLocked},
		{&firmware.PINLengthError{}, ErrPINLenRange},
		{&firmware.PolicyError{}, ErrActionProhibited},
		{&firmware.RoleError{Op: firmware.OpSign, Need: firmware.User}, ErrUserNotLoggedIn},
		{&firmware.StatusError{SW: 0x6982}, ErrUserNotLoggedIn},
		{&firmware.StateError{Op: firmware.OpLogin, State: firmware.StateWiped}, ErrUserPINNotInitialized},
		{&firmware.StateError{Op: firmware.OpWrite, State: firmware.StateVendor}, ErrTokenWriteProtected},
		{&firmware.StateError{Op: firmware.OpWrite, State: firmware.StateHalf}, ErrTokenNotRecognized},
		{&firmware.OptionError{Option: "RSA bits"}, ErrKeySizeRange},
		{&firmware.OptionError{Option: "label"}, ErrAttributeValueInvalid},
		{&firmware.NameError{}, ErrArgumentsBad},
		{&firmware.StatusError{SW: iso7816.SWNoSpace}, ErrDeviceMemory},
		{firmware.ErrNoSpace, ErrDeviceMemory},
		{&firmware.StatusError{SW: iso7816.SWNotFound}, ErrObjectHandleInvalid},
		{firmware.ErrExists, ErrAttributeValueInvalid},
		{firmware.ErrUnsupported, ErrFunctionNotSupported},
		{firmware.ErrLoginDisturbed, ErrFunctionFailed},
		{rsa.ErrDecryption, ErrEncryptedDataInvalid},
		{rsa.ErrMessageTooLong, ErrDataLenRange},
		{&firmware.StatusError{SW: 0x6F00}, ErrDeviceError},
		{firmware.ErrAnswer, ErrDeviceError},
		{firmware.ErrDirectory, ErrDeviceError},
		{context.Canceled, ErrFunctionFailed},
		{context.DeadlineExceeded, ErrFunctionFailed},
		{errors.New("anything"), ErrDeviceError},
	} {
		if got := rvOf(fmt.Errorf("doing something: %w", c.err)); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	for rv, name := range rvNames {
		if rv.Error() != name || name[:4] != "CKR_" {
			t.Errorf("%#x: %v", uint(rv), rv)
		}
	}
}
