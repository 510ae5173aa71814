package pkcs15

// Where OpenSC's profile for the token puts the files of the application
// (rutoken_ecp.profile).
const (
	FileMF        = 0x3F00
	FileDIR       = 0x2F00 // below the master file
	FileApp       = 0x5000 // the application's directory, below the master file
	FileODF       = 0x5031
	FileTokenInfo = 0x5032
	FileMarker    = 0x4946 // holds [Marker]

	// Files of objects: the low byte is a number.
	FilePublicKey   = 0x0200
	FileCertificate = 0x0300
	FileData        = 0x0400
	FilePrivateData = 0x0500 // read with the user PIN only
)

// Marker is what pkcs15-init writes into its own file of the application: tag
// 01, the name of the profile.
const Marker = "\x01\x06pkcs15"

// AppPath gives the path of a file below the application's directory, of the
// directory itself without ids.
func AppPath(ids ...uint16) Path { return NewPath(FileMF, FileApp).Append(ids...) }

// Path gives the place of the directory file, nil for a kind that the layout
// does not have.
func (t DirType) Path() Path {
	switch t {
	case PrKDF:
		return AppPath(0x6002)
	case PuKDF:
		return AppPath(0x6001)
	case CDF:
		return AppPath(0x6004)
	case DODF:
		return AppPath(0x6006)
	case AODF:
		return AppPath(0x6005)
	}
	return nil
}

// PrivateKeyPath and PublicKeyPath give the internal files of a key pair. The
// token files them by their kind; the low byte of the identifier is the key's
// reference, 1 to 255.
func PrivateKeyPath(reference byte) Path {
	return NewPath(FileMF, 0x1000, 0x1000, 0x6002, uint16(reference))
}

// PublicKeyPath: see [PrivateKeyPath].
func PublicKeyPath(reference byte) Path {
	return NewPath(FileMF, 0x1000, 0x1000, 0x6001, uint16(reference))
}

// The references of the two PINs of the token, which are their identifiers
// (AuthID) too.
const (
	AdminReference = 1
	UserReference  = 2
)

// maxPIN is the most bytes of a PIN that the profile lets a token have.
const maxPIN = 32

// NewODFEntry makes the entry of a directory file in its usual place.
func NewODFEntry(t DirType) ODFEntry { return ODFEntry{Type: t, Path: t.Path()} }

// NewApplication makes the template of EF(DIR) for this application.
func NewApplication(label string) Application {
	return Application{AID: AID(), Label: label, Path: AppPath()}
}

// NewTokenInfo makes TokenInfo as OpenSC's profile does. lastUpdate is the text
// of a GeneralizedTime or empty.
func NewTokenInfo(label string, serial []byte, lastUpdate string) TokenInfo {
	return TokenInfo{
		Serial: serial, Manufacturer: "Aktiv Co.", Label: label,
		Flags: TokenEIDCompliant, LastUpdate: lastUpdate,
	}
}

// AdminPIN makes the entry of the administrator's PIN, OpenSC's security officer.
func AdminPIN(minLength int) PIN {
	return newPIN("Security Officer PIN", AdminReference, minLength, PINSO)
}

// UserPIN makes the entry of the user's PIN.
func UserPIN(minLength int) PIN { return newPIN("User PIN", UserReference, minLength, 0) }

func newPIN(label string, reference, minLength int, flags PINFlags) PIN {
	return PIN{
		Common: Common{Label: label, Flags: Private | Modifiable},
		ID:     []byte{byte(reference)},
		Flags:  flags | PINCaseSensitive | PINUnblockDisabled | PINInitialized,
		Type:   PINASCIINumeric, MinLength: minLength, StoredLength: maxPIN, MaxLength: maxPIN,
		Reference: reference, PadChar: []byte{0},
	}
}

// NewPrivateKey makes the entry of an RSA key of the user with all usages.
// access is [AccessGenerated] or [AccessImported].
func NewPrivateKey(label string, id []byte, reference byte, bits int, access AccessFlags) PrivateKey {
	return PrivateKey{
		Common: Common{Label: label, Flags: Private | Modifiable, AuthID: []byte{UserReference}},
		Kind:   KeyRSA, ID: id, Usage: DefaultUsage(KeyRSA), Native: true, Access: access,
		Reference: int(reference), Path: PrivateKeyPath(reference), Bits: bits,
	}
}

// NewPublicKey makes the entry of an RSA key whose RSAPublicKey is in the file
// path. It is not native: commands use the key in the internal file.
func NewPublicKey(label string, id []byte, bits int, path Path) PublicKey {
	return PublicKey{
		Common: Common{Label: label, Flags: Modifiable},
		Kind:   KeyRSA, ID: id, Usage: DefaultUsage(KeyRSA).Public(), Path: path, Bits: bits,
	}
}

// NewCertificate makes the entry of a certificate in the file path.
func NewCertificate(label string, id []byte, path Path) Certificate {
	return Certificate{Common: Common{Label: label, Flags: Modifiable}, ID: id, Path: path}
}

// NewData makes the entry of a data object in the file path; a private one is
// protected by the user PIN. OpenSC takes the label for an application that is
// not named; here it stays unnamed.
func NewData(label, application string, path Path, private bool) Data {
	d := Data{Common: Common{Label: label, Flags: Modifiable}, Application: application, Path: path}
	if private {
		d.Common.Flags |= Private
		d.AuthID = []byte{UserReference}
	}
	return d
}
