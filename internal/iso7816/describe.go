package iso7816

// Describe explains the ATR in English, one line per character or field.
func (a ATR) Describe() []string { return nil }
