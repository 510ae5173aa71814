package pkcs11

import "fmt"

// Rv is a return value of the standard other than CKR_OK, as an error
// (PKCS #11 v3.0 §5.1). Its number is that of C.
type Rv uint

// The return values that this module gives.
const (
	ErrSlotIDInvalid               Rv = 0x003
	ErrGeneralError                Rv = 0x005
	ErrFunctionFailed              Rv = 0x006
	ErrArgumentsBad                Rv = 0x007
	ErrNoEvent                     Rv = 0x008
	ErrAttributeReadOnly           Rv = 0x010
	ErrAttributeSensitive          Rv = 0x011
	ErrAttributeTypeInvalid        Rv = 0x012
	ErrAttributeValueInvalid       Rv = 0x013
	ErrActionProhibited            Rv = 0x01B
	ErrDataInvalid                 Rv = 0x020
	ErrDataLenRange                Rv = 0x021
	ErrDeviceError                 Rv = 0x030
	ErrDeviceMemory                Rv = 0x031
	ErrDeviceRemoved               Rv = 0x032
	ErrEncryptedDataInvalid        Rv = 0x040
	ErrEncryptedDataLenRange       Rv = 0x041
	ErrFunctionNotParallel         Rv = 0x051
	ErrFunctionNotSupported        Rv = 0x054
	ErrKeyHandleInvalid            Rv = 0x060
	ErrKeySizeRange                Rv = 0x062
	ErrKeyTypeInconsistent         Rv = 0x063
	ErrKeyNotNeeded                Rv = 0x064
	ErrKeyIndigestible             Rv = 0x067
	ErrKeyFunctionNotPermitted     Rv = 0x068
	ErrMechanismInvalid            Rv = 0x070
	ErrMechanismParamInvalid       Rv = 0x071
	ErrObjectHandleInvalid         Rv = 0x082
	ErrOperationActive             Rv = 0x090
	ErrOperationNotInitialized     Rv = 0x091
	ErrPINIncorrect                Rv = 0x0A0
	ErrPINLenRange                 Rv = 0x0A2
	ErrPINLocked                   Rv = 0x0A4
	ErrSessionCount                Rv = 0x0B1
	ErrSessionHandleInvalid        Rv = 0x0B3
	ErrSessionParallelNotSupported Rv = 0x0B4
	ErrSessionReadOnly             Rv = 0x0B5
	ErrSessionExists               Rv = 0x0B6
	ErrSessionReadOnlyExists       Rv = 0x0B7
	ErrSessionReadWriteSOExists    Rv = 0x0B8
	ErrSignatureInvalid            Rv = 0x0C0
	ErrSignatureLenRange           Rv = 0x0C1
	ErrTemplateIncomplete          Rv = 0x0D0
	ErrTemplateInconsistent        Rv = 0x0D1
	ErrTokenNotPresent             Rv = 0x0E0
	ErrTokenNotRecognized          Rv = 0x0E1
	ErrTokenWriteProtected         Rv = 0x0E2
	ErrUserAlreadyLoggedIn         Rv = 0x100
	ErrUserNotLoggedIn             Rv = 0x101
	ErrUserPINNotInitialized       Rv = 0x102
	ErrUserTypeInvalid             Rv = 0x103
	ErrUserAnotherAlreadyLoggedIn  Rv = 0x104
	ErrRandomSeedNotSupported      Rv = 0x120
	ErrBufferTooSmall              Rv = 0x150
	ErrSavedStateInvalid           Rv = 0x160
	ErrStateUnsaveable             Rv = 0x180
	ErrCryptokiNotInitialized      Rv = 0x190
	ErrCryptokiAlreadyInitialized  Rv = 0x191
)

var rvNames = map[Rv]string{
	ErrSlotIDInvalid: "CKR_SLOT_ID_INVALID", ErrGeneralError: "CKR_GENERAL_ERROR", ErrFunctionFailed: "CKR_FUNCTION_FAILED",
	ErrArgumentsBad: "CKR_ARGUMENTS_BAD", ErrNoEvent: "CKR_NO_EVENT",
	ErrAttributeReadOnly: "CKR_ATTRIBUTE_READ_ONLY", ErrAttributeSensitive: "CKR_ATTRIBUTE_SENSITIVE",
	ErrAttributeTypeInvalid: "CKR_ATTRIBUTE_TYPE_INVALID", ErrAttributeValueInvalid: "CKR_ATTRIBUTE_VALUE_INVALID",
	ErrActionProhibited: "CKR_ACTION_PROHIBITED", ErrDataInvalid: "CKR_DATA_INVALID", ErrDataLenRange: "CKR_DATA_LEN_RANGE",
	ErrDeviceError: "CKR_DEVICE_ERROR", ErrDeviceMemory: "CKR_DEVICE_MEMORY", ErrDeviceRemoved: "CKR_DEVICE_REMOVED",
	ErrEncryptedDataInvalid: "CKR_ENCRYPTED_DATA_INVALID", ErrEncryptedDataLenRange: "CKR_ENCRYPTED_DATA_LEN_RANGE",
	ErrFunctionNotParallel: "CKR_FUNCTION_NOT_PARALLEL", ErrFunctionNotSupported: "CKR_FUNCTION_NOT_SUPPORTED",
	ErrKeyHandleInvalid: "CKR_KEY_HANDLE_INVALID", ErrKeySizeRange: "CKR_KEY_SIZE_RANGE", ErrKeyTypeInconsistent: "CKR_KEY_TYPE_INCONSISTENT",
	ErrKeyNotNeeded: "CKR_KEY_NOT_NEEDED", ErrKeyIndigestible: "CKR_KEY_INDIGESTIBLE", ErrKeyFunctionNotPermitted: "CKR_KEY_FUNCTION_NOT_PERMITTED",
	ErrMechanismInvalid: "CKR_MECHANISM_INVALID", ErrMechanismParamInvalid: "CKR_MECHANISM_PARAM_INVALID",
	ErrObjectHandleInvalid: "CKR_OBJECT_HANDLE_INVALID", ErrOperationActive: "CKR_OPERATION_ACTIVE",
	ErrOperationNotInitialized: "CKR_OPERATION_NOT_INITIALIZED", ErrPINIncorrect: "CKR_PIN_INCORRECT",
	ErrPINLenRange: "CKR_PIN_LEN_RANGE", ErrPINLocked: "CKR_PIN_LOCKED", ErrSessionCount: "CKR_SESSION_COUNT", ErrSessionHandleInvalid: "CKR_SESSION_HANDLE_INVALID",
	ErrSessionParallelNotSupported: "CKR_SESSION_PARALLEL_NOT_SUPPORTED", ErrSessionReadOnly: "CKR_SESSION_READ_ONLY",
	ErrSessionExists: "CKR_SESSION_EXISTS", ErrSessionReadOnlyExists: "CKR_SESSION_READ_ONLY_EXISTS",
	ErrSessionReadWriteSOExists: "CKR_SESSION_READ_WRITE_SO_EXISTS", ErrSignatureInvalid: "CKR_SIGNATURE_INVALID",
	ErrSignatureLenRange: "CKR_SIGNATURE_LEN_RANGE", ErrTemplateIncomplete: "CKR_TEMPLATE_INCOMPLETE",
	ErrTemplateInconsistent: "CKR_TEMPLATE_INCONSISTENT", ErrTokenNotPresent: "CKR_TOKEN_NOT_PRESENT",
	ErrTokenNotRecognized: "CKR_TOKEN_NOT_RECOGNIZED", ErrTokenWriteProtected: "CKR_TOKEN_WRITE_PROTECTED",
	ErrUserAlreadyLoggedIn: "CKR_USER_ALREADY_LOGGED_IN", ErrUserNotLoggedIn: "CKR_USER_NOT_LOGGED_IN",
	ErrUserPINNotInitialized: "CKR_USER_PIN_NOT_INITIALIZED", ErrUserTypeInvalid: "CKR_USER_TYPE_INVALID",
	ErrUserAnotherAlreadyLoggedIn: "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", ErrRandomSeedNotSupported: "CKR_RANDOM_SEED_NOT_SUPPORTED",
	ErrBufferTooSmall: "CKR_BUFFER_TOO_SMALL", ErrSavedStateInvalid: "CKR_SAVED_STATE_INVALID", ErrStateUnsaveable: "CKR_STATE_UNSAVEABLE",
	ErrCryptokiNotInitialized: "CKR_CRYPTOKI_NOT_INITIALIZED", ErrCryptokiAlreadyInitialized: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
}

func (r Rv) Error() string {
	if name, ok := rvNames[r]; ok {
		return name
	}
	return fmt.Sprintf("CKR_(%#x)", uint(r))
}
