package wire

import "fmt"

// The protocols that this package knows are Major:MinMinor to Major:MaxMinor.
const (
	Major    = 4
	MinMinor = 3
	MaxMinor = 6
)

// Version is the first message of a connection and its answer (struct
// version_struct, 12 bytes).
type Version struct {
	Major, Minor int32
	Result       Result
}

// AppendTo appends the 12 bytes of the message to b.
func (m Version) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Major), uint32(m.Minor), uint32(m.Result))
}

// ParseVersion reads a [Version].
func ParseVersion(b []byte) (Version, error) {
	if err := check("Version", b, VersionSize); err != nil {
		return Version{}, err
	}
	return Version{Major: int32(u32(b, 0)), Minor: int32(u32(b, 4)), Result: Result(u32(b, 8))}, nil
}

// String gives the usual spelling: "4:6".
func (m Version) String() string { return fmt.Sprintf("%d:%d", m.Major, m.Minor) }

// Dialect is how the protocols differ in the messages of waiting.
type Dialect byte

// The dialects.
const (
	Array  Dialect = iota // 4:6: an array of any size, asked for in two steps
	Legacy                // 4:4 and 4:5: waiting is answered by a fixed array
	Old                   // 4:3: waiting has a body and no answer
)

func (d Dialect) String() string {
	switch d {
	case Array:
		return "array"
	case Legacy:
		return "legacy"
	case Old:
		return "old"
	}
	return fmt.Sprintf("Dialect(%d)", byte(d))
}

// DialectOf is the dialect of protocol Major:minor. It is false for one that
// this package does not know.
func DialectOf(minor int32) (Dialect, bool) {
	switch minor {
	case 3:
		return Old, true
	case 4, 5:
		return Legacy, true
	case 6:
		return Array, true
	}
	return 0, false
}

// WaitAnswers reports whether [CmdWaitReaderStateChange] is answered at once, by
// the fixed array.
func (d Dialect) WaitAnswers() bool { return d == Legacy }

// StopAlwaysAnswers reports whether [CmdStopWaiting] is answered even if the
// connection does not wait.
func (d Dialect) StopAlwaysAnswers() bool { return d == Old }
