package panel

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"unicode/utf8"

	"kaztoken/internal/certfile"
	"kaztoken/internal/secret"
)

const (
	// maxForm bounds a form without files, and maxUpload one with a file.
	maxForm   = 16 << 10
	maxUpload = certfile.Limit + 64<<10
	// maxFields bounds the fields of a form: a token holds fewer certificates.
	maxFields = 256
	// maxSecret bounds a PIN or password, bytes.
	maxSecret = 256
)

var (
	// errForm: a request's body is not a form that the panel made.
	errForm = errors.New("malformed form")
	// errLarge: a request's body is longer than is read.
	errLarge = errors.New("form too large")
)

// form is what was typed into a page. Its values are bytes of one buffer, which
// wipe overwrites: package net/url would make strings, which nothing can.
type form struct {
	fields []field
	file   []byte
	name   string // of the file
	whole  []byte // everything that fields lie in
}

type field struct {
	name  string
	value []byte
}

// wipe overwrites all that was typed.
func (f *form) wipe() {
	secret.Wipe(f.whole)
	secret.Wipe(f.file)
	for _, v := range f.fields {
		secret.Wipe(v.value)
	}
}

// bytes is the first value of a field, nil if it is not there. It is the form's.
func (f *form) bytes(name string) []byte {
	for _, v := range f.fields {
		if v.name == name {
			return v.value
		}
	}
	return nil
}

// line is a value that is no secret.
func (f *form) line(name string) string { return string(f.bytes(name)) }

// all is every value of a field that is no secret.
func (f *form) all(name string) []string {
	var all []string
	for _, v := range f.fields {
		if v.name == name {
			all = append(all, string(v.value))
		}
	}
	return all
}

// has reports whether a box was ticked.
func (f *form) has(name string) bool { return f.bytes(name) != nil }

// secret copies a value into memory that the caller wipes.
func (f *form) secret(name string) *secret.Bytes {
	b := f.bytes(name)
	if len(b) > maxSecret {
		b = b[:maxSecret] // longer than any token takes, and refused as that
	}
	return secret.Copy(b)
}

// readForm reads the body of a request. The caller wipes the form, also after an
// error.
func readForm(r *http.Request) (*form, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return &form{}, errForm
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		body, err := readAll(r.Body, maxForm)
		if err != nil {
			secret.Wipe(body)
			return &form{}, err
		}
		return parseForm(body)
	case "multipart/form-data":
		return readUpload(multipart.NewReader(r.Body, parameters["boundary"]))
	}
	return &form{}, errForm
}

// readAll reads at most limit bytes into one buffer that never moves, so that no
// copy of a secret stays behind. What was cut off on its way is errForm.
func readAll(r io.Reader, limit int) ([]byte, error) {
	buf := make([]byte, limit+1)
	n := 0
	var err error
	for n <= limit && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	var large *http.MaxBytesError
	switch {
	case n > limit || errors.As(err, &large):
		return buf[:n], errLarge
	case err == io.EOF: // not io.ErrUnexpectedEOF: then its end has not arrived
		return buf[:n], nil
	}
	return buf[:n], errForm
}

// parseForm reads name=value pairs as browsers write them (URL Standard,
// application/x-www-form-urlencoded), strictly: what a browser does not write is
// errForm. It decodes in place and takes body over.
func parseForm(body []byte) (*form, error) {
	f := &form{whole: body}
	for rest := body; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte("&"))
		name, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || len(f.fields) == maxFields {
			return f, errForm
		}
		if name, ok = unescape(name); !ok || len(name) == 0 {
			return f, errForm
		}
		if value, ok = unescape(value); !ok || !utf8.Valid(value) {
			return f, errForm
		}
		f.fields = append(f.fields, field{string(name), value})
	}
	return f, nil
}

// unescape decodes in place.
func unescape(b []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '+':
			b[n] = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, false
			}
			hi, lo := digit(b[i+1]), digit(b[i+2])
			if hi > 15 || lo > 15 {
				return nil, false
			}
			b[n] = hi<<4 | lo
			i += 2
		default:
			b[n] = c
		}
		n++
	}
	return b[:n], true
}

// digit is the value of a hexadecimal digit, more than 15 for anything else.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xFF
}

// readUpload reads a form with one file.
func readUpload(r *multipart.Reader) (*form, error) {
	f := &form{}
	for {
		p, err := r.NextRawPart()
		if err == io.EOF { // one that is wrapped is of a form without its end
			return f, nil
		}
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return f, errLarge
		}
		if err != nil || p.FormName() == "" || len(f.fields) == maxFields {
			return f, errForm
		}
		limit := maxForm
		isFile := p.FileName() != ""
		if isFile {
			limit = certfile.Limit
		}
		value, err := readAll(p, limit)
		switch {
		case err != nil:
			secret.Wipe(value)
			return f, err
		case isFile && f.file == nil:
			f.file, f.name = value, p.FileName()
		case isFile || !utf8.Valid(value):
			secret.Wipe(value)
			return f, errForm
		default:
			f.fields = append(f.fields, field{p.FormName(), value})
		}
	}
}
