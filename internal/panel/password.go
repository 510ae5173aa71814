package panel

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	passwordScheme = "pbkdf2-sha256"
	// passwordRounds are the iterations of new passwords (OWASP's figure for
	// PBKDF2-HMAC-SHA256), and the bounds of those that are read.
	passwordRounds    = 600_000
	minPasswordRounds = 100_000
	maxPasswordRounds = 10_000_000
	// MinPasswordLength is the shortest password that is taken, bytes: whoever
	// knows it can reach the token from elsewhere.
	MinPasswordLength = 12
)

var (
	// ErrPasswordFile: what is read is not the line that [NewPassword] makes.
	ErrPasswordFile = errors.New("not a password of the panel")
	// ErrPasswordShort: a new password has fewer than [MinPasswordLength] bytes.
	ErrPasswordShort = errors.New("password too short")
)

// Password is what is kept of a password: enough to recognise it, and no way back.
// Its text is one line of four fields with dollar signs between them:
//
//	pbkdf2-sha256$600000$<salt>$<key>
//
// the scheme (PBKDF2 with HMAC-SHA-256, RFC 8018 §5.2), the iterations, and salt
// and derived key in Base64 without padding.
type Password struct {
	rounds    int
	salt, key []byte
}

// NewPassword makes what is to be kept of a password. The error is
// [ErrPasswordShort].
func NewPassword(password []byte) (*Password, error) {
	if len(password) < MinPasswordLength {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrPasswordShort, len(password), MinPasswordLength)
	}
	p := &Password{rounds: passwordRounds, salt: make([]byte, 16)}
	rand.Read(p.salt) // never fails
	p.key = p.derive(password)
	return p, nil
}

// derive is PBKDF2. The password becomes a string for the time of the call, because
// crypto/pbkdf2 takes no other.
func (p *Password) derive(password []byte) []byte {
	key, err := pbkdf2.Key(sha256.New, string(password), p.salt, p.rounds, sha256.Size)
	if err != nil {
		panic(err) // only in FIPS mode, for a short salt
	}
	return key
}

// Matches compares a password, in a time that does not depend on it.
func (p *Password) Matches(password []byte) bool {
	return len(password) > 0 && subtle.ConstantTimeCompare(p.derive(password), p.key) == 1
}

func (p *Password) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("%s$%d$%s$%s", passwordScheme, p.rounds, b.EncodeToString(p.salt), b.EncodeToString(p.key))
}

// ParsePassword reads the text of a [Password], with white space around it. The
// error is [ErrPasswordFile].
func ParsePassword(text []byte) (*Password, error) {
	parts := strings.Split(strings.TrimSpace(string(text)), "$")
	if len(parts) != 4 || parts[0] != passwordScheme {
		return nil, ErrPasswordFile
	}
	rounds, err := strconv.Atoi(parts[1])
	if err != nil || strconv.Itoa(rounds) != parts[1] || rounds < minPasswordRounds || rounds > maxPasswordRounds {
		return nil, fmt.Errorf("%w: %q iterations", ErrPasswordFile, parts[1])
	}
	p := &Password{rounds: rounds}
	strict := base64.RawStdEncoding.Strict()
	if p.salt, err = strict.DecodeString(parts[2]); err != nil || len(p.salt) < 16 || len(p.salt) > 64 {
		return nil, fmt.Errorf("%w: salt", ErrPasswordFile)
	}
	if p.key, err = strict.DecodeString(parts[3]); err != nil || len(p.key) != sha256.Size {
		return nil, fmt.Errorf("%w: key", ErrPasswordFile)
	}
	return p, nil
}
