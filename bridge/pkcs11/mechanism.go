package pkcs11

import (
	"crypto"
	_ "crypto/md5" // the hash functions of the mechanisms
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"slices"
)

// MechanismType is a CK_MECHANISM_TYPE.
type MechanismType uint

// The mechanisms of this module (PKCS #11 v3.0 Current Mechanisms §2.1, §2.20).
const (
	MechRSAPKCSKeyPairGen MechanismType = 0x000
	MechRSAPKCS           MechanismType = 0x001
	MechRSAX509           MechanismType = 0x003
	MechMD5RSAPKCS        MechanismType = 0x005
	MechSHA1RSAPKCS       MechanismType = 0x006
	MechRSAPKCSOAEP       MechanismType = 0x009
	MechRSAPKCSPSS        MechanismType = 0x00D
	MechSHA1RSAPKCSPSS    MechanismType = 0x00E
	MechSHA256RSAPKCS     MechanismType = 0x040
	MechSHA384RSAPKCS     MechanismType = 0x041
	MechSHA512RSAPKCS     MechanismType = 0x042
	MechSHA256RSAPKCSPSS  MechanismType = 0x043
	MechSHA384RSAPKCSPSS  MechanismType = 0x044
	MechSHA512RSAPKCSPSS  MechanismType = 0x045
	MechSHA224RSAPKCS     MechanismType = 0x046
	MechSHA224RSAPKCSPSS  MechanismType = 0x047
	MechMD5               MechanismType = 0x210
	MechSHA1              MechanismType = 0x220
	MechSHA256            MechanismType = 0x250
	MechSHA224            MechanismType = 0x255
	MechSHA384            MechanismType = 0x260
	MechSHA512            MechanismType = 0x270
)

// MechanismFlags are those of CK_MECHANISM_INFO.
type MechanismFlags uint

// Flags of a mechanism, and with FlagFindObjects the operations of SessionCancel.
const (
	FlagHardware        MechanismFlags = 0x00001
	FlagFindObjects     MechanismFlags = 0x00040
	FlagEncrypt         MechanismFlags = 0x00100
	FlagDecrypt         MechanismFlags = 0x00200
	FlagDigest          MechanismFlags = 0x00400
	FlagSign            MechanismFlags = 0x00800
	FlagSignRecover     MechanismFlags = 0x01000
	FlagVerify          MechanismFlags = 0x02000
	FlagVerifyRecover   MechanismFlags = 0x04000
	FlagGenerateKeyPair MechanismFlags = 0x10000
)

// MechanismInfo is CK_MECHANISM_INFO.
type MechanismInfo struct {
	MinKeySize, MaxKeySize uint // bits of the modulus
	Flags                  MechanismFlags
}

// padding is how a mechanism makes a block of the modulus's length.
type padding int

const (
	padNone   padding = iota + 1 // CKM_RSA_X_509
	padPKCS1                     // RFC 8017 §7.2, §8.2
	padPSS                       // §8.1
	padOAEP                      // §7.1
	padDigest                    // no RSA: a digest
	padKeyGen                    // no block at all
)

// mechanism is what this module knows of one.
type mechanism struct {
	kind  padding
	hash  crypto.Hash // that the mechanism itself makes; 0 if it takes the digest, or data
	flags MechanismFlags
}

const (
	signVerify = FlagHardware | FlagSign | FlagVerify
	allOfRSA   = signVerify | FlagSignRecover | FlagVerifyRecover | FlagEncrypt | FlagDecrypt
)

var mechanisms = map[MechanismType]mechanism{
	MechRSAPKCSKeyPairGen: {padKeyGen, 0, FlagHardware | FlagGenerateKeyPair},
	MechRSAPKCS:           {padPKCS1, 0, allOfRSA},
	MechRSAX509:           {padNone, 0, allOfRSA},
	MechMD5RSAPKCS:        {padPKCS1, crypto.MD5, signVerify},
	MechSHA1RSAPKCS:       {padPKCS1, crypto.SHA1, signVerify},
	MechSHA224RSAPKCS:     {padPKCS1, crypto.SHA224, signVerify},
	MechSHA256RSAPKCS:     {padPKCS1, crypto.SHA256, signVerify},
	MechSHA384RSAPKCS:     {padPKCS1, crypto.SHA384, signVerify},
	MechSHA512RSAPKCS:     {padPKCS1, crypto.SHA512, signVerify},
	MechRSAPKCSPSS:        {padPSS, 0, signVerify},
	MechSHA1RSAPKCSPSS:    {padPSS, crypto.SHA1, signVerify},
	MechSHA224RSAPKCSPSS:  {padPSS, crypto.SHA224, signVerify},
	MechSHA256RSAPKCSPSS:  {padPSS, crypto.SHA256, signVerify},
	MechSHA384RSAPKCSPSS:  {padPSS, crypto.SHA384, signVerify},
	MechSHA512RSAPKCSPSS:  {padPSS, crypto.SHA512, signVerify},
	MechRSAPKCSOAEP:       {padOAEP, 0, FlagHardware | FlagEncrypt | FlagDecrypt},
	MechMD5:               {padDigest, crypto.MD5, FlagDigest},
	MechSHA1:              {padDigest, crypto.SHA1, FlagDigest},
	MechSHA224:            {padDigest, crypto.SHA224, FlagDigest},
	MechSHA256:            {padDigest, crypto.SHA256, FlagDigest},
	MechSHA384:            {padDigest, crypto.SHA384, FlagDigest},
	MechSHA512:            {padDigest, crypto.SHA512, FlagDigest},
}

// Mechanism is a CK_MECHANISM. Parameter is nil, a *PSSParams or an *OAEPParams;
// anything else that came with it is a RawParameter.
type Mechanism struct {
	Type      MechanismType
	Parameter any
}

// RawParameter is a parameter that no mechanism here takes.
type RawParameter []byte

// PSSParams is CK_RSA_PKCS_PSS_PARAMS.
type PSSParams struct {
	Hash    MechanismType
	MGF     uint
	SaltLen uint // bytes
}

// OAEPParams is CK_RSA_PKCS_OAEP_PARAMS. Source is CKZ_DATA_SPECIFIED where there
// is a label.
type OAEPParams struct {
	Hash   MechanismType
	MGF    uint
	Source uint
	Label  []byte
}

// hashes are the hash functions of parameters: by mechanism, and by MGF.
var (
	hashes = map[MechanismType]crypto.Hash{
		MechSHA1: crypto.SHA1, MechSHA224: crypto.SHA224, MechSHA256: crypto.SHA256, MechSHA384: crypto.SHA384, MechSHA512: crypto.SHA512,
	}
	mgfHashes = map[uint]crypto.Hash{1: crypto.SHA1, 2: crypto.SHA256, 3: crypto.SHA384, 4: crypto.SHA512, 5: crypto.SHA224}
)

// dataSpecified is CKZ_DATA_SPECIFIED.
const dataSpecified = 1

// GetMechanismList is C_GetMechanismList.
func (m *Module) GetMechanismList(id SlotID) ([]MechanismType, error) {
	if err := m.present(id); err != nil {
		return nil, err
	}
	var all []MechanismType
	for t := range mechanisms {
		all = append(all, t)
	}
	slices.Sort(all)
	return all, nil
}

// GetMechanismInfo is C_GetMechanismInfo.
func (m *Module) GetMechanismInfo(id SlotID, t MechanismType) (MechanismInfo, error) {
	if err := m.present(id); err != nil {
		return MechanismInfo{}, err
	}
	mech, ok := mechanisms[t]
	if !ok {
		return MechanismInfo{}, ErrMechanismInvalid
	}
	i := MechanismInfo{Flags: mech.flags}
	if mech.kind != padDigest {
		i.MinKeySize, i.MaxKeySize = minRSABits, maxRSABits
	}
	return i, nil
}

// minRSABits and maxRSABits are what tokens of this family take.
const minRSABits, maxRSABits = 1024, 4096

// present checks that there is a token in a slot.
func (m *Module) present(id SlotID) error {
	r, err := m.begin()
	if err != nil {
		return err
	}
	s, err := r.slot(id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	open := s.token != nil && !s.token.gone()
	r.mu.Unlock()
	if open { // nothing has to be asked
		return nil
	}
	if _, err := r.look(r.ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.reader == nil {
		return ErrTokenNotPresent
	}
	return nil
}
