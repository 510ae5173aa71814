package firmware

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"kaztoken/firmware/pkcs15"
)

// NameError: a name that a token cannot have.
type NameError struct {
	Max       int // bytes of UTF-8 that fit; 0 if the length is not what is wrong
	Violation NameViolation
}

// NameViolation is what is wrong with a name.
type NameViolation int

// The violations.
const (
	NameEmpty    NameViolation = iota + 1
	NameTooLong                // longer than NameError.Max bytes
	NameNoText                 // not UTF-8, or with control characters
	NameReserved               // begins or ends with a space
)

func (v NameViolation) String() string {
	switch v {
	case NameEmpty:
		return "it is empty"
	case NameTooLong:
		return "it is too long"
	case NameNoText:
		return "it has characters that cannot be shown"
	case NameReserved:
		return "it begins or ends with a space"
	}
	return fmt.Sprintf("NameViolation(%d)", int(v))
}

func (e *NameError) Error() string {
	if e.Max > 0 {
		return fmt.Sprintf("token name: %v, at most %d bytes", e.Violation, e.Max)
	}
	return fmt.Sprintf("token name: %v", e.Violation)
}

// checkName checks everything but the length.
func checkName(name string) error {
	switch {
	case name == "":
		return &NameError{Violation: NameEmpty}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsRune(name, utf8.RuneError):
		return &NameError{Violation: NameNoText}
	case strings.TrimSpace(name) != name:
		return &NameError{Violation: NameReserved}
	}
	return nil
}

// checkRoom checks whether a name fits into a file of room bytes; size is what
// the file holds with a name.
func checkRoom(name string, room int, size func(name string) int) error {
	fits := len(name)
	for fits > 0 && size(strings.Repeat("x", fits)) > room {
		fits--
	}
	if fits < len(name) {
		return &NameError{Max: fits, Violation: NameTooLong}
	}
	return nil
}

// Name is the token's name: the label in EF(TokenInfo).
func (t *Token) Name(ctx context.Context) (string, error) {
	var name string
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpRead); err != nil {
			return err
		}
		info, err := t.tokenInfo(ctx)
		name = info.Label
		return err
	})
	if err != nil {
		return "", fmt.Errorf("token name: %w", err)
	}
	return name, nil
}

// SetName gives the token a name; the user or the administrator has to be logged
// in. The copy of the name in EF(DIR) can be written by the administrator only
// and stays as it was where the user renames the token. The error is a
// [*NameError] if the name cannot be.
func (t *Token) SetName(ctx context.Context, name string) error {
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := t.need(OpRename, User, Admin); err != nil {
			return err
		}
		return t.setName(ctx, name)
	})
	if err != nil {
		return fmt.Errorf("rename token: %w", err)
	}
	return nil
}

func (t *Token) setName(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	info, err := t.tokenInfo(ctx)
	if err != nil {
		return err
	}
	if info.LastUpdate != "" {
		info.LastUpdate = t.later(info.LastUpdate)
	}
	size := func(name string) int {
		info.Label = name
		return len(info.AppendTo(nil))
	}
	if err := checkRoom(name, t.cache.info.size, size); err != nil {
		return err
	}
	info.Label = name
	next := info.AppendTo(nil)
	if t.role == Admin {
		if err := t.renameDIR(ctx, name); err != nil {
			return err
		}
	}
	return t.rewrite(ctx, 0, t.cache.info, next)
}

// renameDIR changes the copy of the name in EF(DIR), or names the application
// there at all, if it fits.
func (t *Token) renameDIR(ctx context.Context, name string) error {
	d, err := t.readDirectory(ctx, mf.Append(pkcs15.FileDIR))
	if err != nil {
		return err
	}
	apps, err := pkcs15.ParseDIR(d.entries())
	if err != nil {
		return errors.Join(ErrDirectory, err)
	}
	var (
		next  []byte
		named bool
	)
	for _, a := range apps {
		if a.Err == nil && a.IsPKCS15() && a.Path.Equal(t.app) {
			a.Label, named = name, true
		}
		next = a.AppendTo(next)
	}
	if !named {
		a := pkcs15.NewApplication(name)
		a.Path = t.app
		next = a.AppendTo(next)
	}
	if len(next) > d.size {
		return nil
	}
	if err := t.rewrite(ctx, 0, d, next); err != nil {
		return fmt.Errorf("EF(DIR): %w", err)
	}
	return nil
}
