package describe

import (
	"fmt"

	"kaztoken/firmware"
	"kaztoken/internal/words"
)

// Window is the information window of the user guide: the fields in its order,
// then how the token is formatted and the state of both PINs. reader is the name
// of the reader that the token is in.
func Window(w words.Words, i firmware.Info, reader string) Sheet {
	size := func(n int) string { return w.Text("bytes", "n", n) }
	var s Sheet
	s.add(w.Text("name"), Field(w, i.Name, words.Clean))
	s.add(w.Text("info.model"), Field(w, certain(i.Model), words.Clean))
	s.add(w.Text("info.reader"), words.Clean(reader))
	s.add(w.Text("info.id"), Field(w, i.ID, func(id uint64) string { return fmt.Sprintf("0x%s (%010d)", TokenID(id), id) }))
	s.add(w.Text("info.version"), Field(w, i.Version, words.Clean))
	s.add(w.Text("info.total"), Field(w, i.TotalMemory, size))
	s.add(w.Text("info.free"), Field(w, i.FreeMemory, size))
	s.add(w.Text("info.available"), Field(w, i.AvailableMemory, size))
	s.add(w.Text("info.firmware"), Field(w, i.Firmware, words.Clean))
	s.add(w.Text("policy"), Field(w, i.UserPINPolicy, func(p firmware.Policy) string {
		return w.Text("info.policy.value", "policy", Policy(p))
	}))
	s.add(w.Text("info.utf8"), Field(w, certain(i.UTF8PINs), func(ok bool) string {
		if !ok {
			return w.Text("no")
		}
		return w.Text("info.possible")
	}))
	s.add(w.Text("info.rsa"), Field(w, certain(i.RSABits), func(r firmware.Range) string {
		return w.Text("info.rsa.value", "min", r.Min, "max", r.Max)
	}))
	// Properties of Windows' own software, which the guide's window shows.
	s.add(w.Text("info.mscsp"), w.Text("info.windows"))
	s.add(w.Text("info.rdp"), w.Text("info.windows"))
	s.add(w.Text("info.format"), w.Text("info.format.value", "state", Format(i.State)))
	for _, p := range []struct {
		role   firmware.Role
		status firmware.Field[firmware.PINStatus]
	}{{firmware.User, i.User}, {firmware.Admin, i.Admin}} {
		s.add(w.Text("pin.title", "role", Role(p.role)), Field(w, p.status, func(p firmware.PINStatus) string { return PIN(w, p) }))
	}
	return s
}

// certain takes a property of the model for one of the token, where every token
// of the model has it.
func certain[T any](f firmware.Field[T]) firmware.Field[T] {
	if f.Source == firmware.SourceNominal {
		f.Source = firmware.SourceToken
	}
	return f
}

// Field spells a field: unknown, or its value, with a mark if it is the model's
// and not this token's.
func Field[T any](w words.Words, f firmware.Field[T], spell func(T) string) string {
	switch f.Source {
	case firmware.SourceUnknown:
		return w.Text("unknown")
	case firmware.SourceNominal:
		return w.Text("info.nominal", "value", spell(f.Value))
	}
	return spell(f.Value)
}

// TokenID spells a token's number as the vendor's panel does.
func TokenID(id uint64) string { return fmt.Sprintf("%08X", id) }

// PIN spells the state of a PIN: the tries that are left, and its limits.
func PIN(w words.Words, p firmware.PINStatus) string {
	text := Tries(w, p)
	if p.MinLength >= 0 {
		text += ", " + w.Text("pin.length", "min", p.MinLength, "max", p.MaxLength)
	}
	return text
}

// Tries spells how many tries of a PIN are left.
func Tries(w words.Words, p firmware.PINStatus) string {
	switch {
	case p.Blocked:
		return w.Text("pin.blocked")
	case p.Left >= 0 && p.Max >= 0:
		return w.Text("pin.tries", "left", p.Left, "max", p.Max)
	case p.Left >= 0:
		return w.Text("pin.left", "n", p.Left)
	}
	return w.Text("unknown")
}
