package iso7816

// CarriesSecret reports whether the data field of commands with this INS must
// not be shown to anybody: PINs, and on this family of tokens key bodies too.
// They are VERIFY, CHANGE REFERENCE DATA and RESET RETRY COUNTER, with either
// form of data field (ISO 7816-4:2013 §11.5.6 to §11.5.10). Logs, recordings
// and command lines keep this one rule.
func CarriesSecret(ins byte) bool {
	switch ins &^ 1 {
	case 0x20, 0x24, 0x2C:
		return true
	}
	return false
}

// BringsSecret reports whether the data of the answer to a command must not be
// shown: what a key decrypted (PERFORM SECURITY OPERATION with P1 80, ISO
// 7816-8:2004 §5.4), or the rest of that, by GET RESPONSE. before is what it
// said of the command before, on the same card.
func BringsSecret(ins, p1 byte, before bool) bool {
	switch ins {
	case 0x2A:
		return p1 == 0x80
	case 0xC0:
		return before
	}
	return false
}
