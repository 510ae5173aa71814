package wire

import "fmt"

// Scope is dwScope of [Establish].
type Scope uint32

// The scopes. They make no difference.
const (
	ScopeUser     Scope = 0
	ScopeTerminal Scope = 1
	ScopeSystem   Scope = 2
	ScopeGlobal   Scope = 3
)

func (s Scope) String() string {
	switch s {
	case ScopeUser:
		return "user"
	case ScopeTerminal:
		return "terminal"
	case ScopeSystem:
		return "system"
	case ScopeGlobal:
		return "global"
	}
	return fmt.Sprintf("Scope(%d)", uint32(s))
}

// Valid reports whether s is one of the four.
func (s Scope) Valid() bool { return s <= ScopeGlobal }

// Establish makes a context (struct establish_struct, 12 bytes).
type Establish struct {
	Scope   Scope
	Context Context // in the answer
	Result  Result
}

// AppendTo appends the 12 bytes of the message to b.
func (m Establish) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Scope), uint32(m.Context), uint32(m.Result))
}

// ParseEstablish reads an [Establish].
func ParseEstablish(b []byte) (Establish, error) {
	if err := check("Establish", b, EstablishSize); err != nil {
		return Establish{}, err
	}
	return Establish{Scope: Scope(u32(b, 0)), Context: Context(u32(b, 4)), Result: Result(u32(b, 8))}, nil
}

// Release ends a context; the connection stays (struct release_struct, 8 bytes).
type Release struct {
	Context Context
	Result  Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m Release) AppendTo(b []byte) []byte { return put(b, uint32(m.Context), uint32(m.Result)) }

// ParseRelease reads a [Release].
func ParseRelease(b []byte) (Release, error) {
	if err := check("Release", b, ReleaseSize); err != nil {
		return Release{}, err
	}
	return Release{Context: Context(u32(b, 0)), Result: Result(u32(b, 4))}, nil
}

// Cancel ends the wait of the connection that a context belongs to (struct
// cancel_struct, 8 bytes).
type Cancel struct {
	Context Context
	Result  Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m Cancel) AppendTo(b []byte) []byte { return put(b, uint32(m.Context), uint32(m.Result)) }

// ParseCancel reads a [Cancel].
func ParseCancel(b []byte) (Cancel, error) {
	if err := check("Cancel", b, CancelSize); err != nil {
		return Cancel{}, err
	}
	return Cancel{Context: Context(u32(b, 0)), Result: Result(u32(b, 4))}, nil
}
