package emu

import "kaztoken/internal/iso7816"

// Conditions of tag 86. Others are masks of PIN references.
const (
	always = 0x00
	never  = 0xFF
	either = adminPIN | userPIN
)

// Bits of the access mode byte, by kind of file.
const (
	ruleRead   = 0 // working EF
	ruleUpdate = 1 // working EF

	ruleCreate    = 0 // DF: create EF and DF
	ruleCreateRSF = 1 // DF

	ruleUnblock = 0 // PIN
	ruleChange  = 1 // PIN

	ruleLoad = 1 // key: load its body, generate
	ruleUse  = 2 // key: PSO

	ruleDelete = 6 // all kinds
)

// modes are the bits that an access mode byte may have.
const modes = 1<<0 | 1<<1 | 1<<2 | 1<<ruleDelete

// conditions is the number of conditions behind the access mode byte, one per
// bit; the rest of tag 86 is zero.
const conditions = 7

// validRules reports whether tag 86 is one that the card keeps.
// Assumed: a bit or a condition that nobody has published is refused.
func validRules(rules [rulesLen]byte) bool {
	if rules[0]&^modes != 0 {
		return false
	}
	for _, condition := range rules[1 : 1+conditions] {
		if condition != never && condition&^either != 0 {
			return false
		}
	}
	return [rulesLen - 1 - conditions]byte(rules[1+conditions:]) == [rulesLen - 1 - conditions]byte{}
}

// allowed evaluates one rule of a file against the logins of the moment. A rule
// whose access mode bit is clear is absent: never. Between INIT and INIT END
// nothing is enforced.
func (c *Card) allowed(f *file, rule int) iso7816.SW {
	if c.initialising {
		return iso7816.SWOK
	}
	condition := f.rules[1+rule]
	switch {
	case f.rules[0]&(1<<rule) == 0 || condition == never:
		return iso7816.SWSecurityStatus
	case condition == always || condition&c.logins != 0:
		return iso7816.SWOK
	}
	return iso7816.SWSecurityStatus
}
