package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

const (
	maxRead   = 256 // bytes in one READ BINARY
	maxUpdate = 255 // bytes in one UPDATE BINARY
	// maxOffset is what READ BINARY and UPDATE BINARY can say in P1 P2.
	maxOffset = 0x7FFF
	maxFile   = maxOffset + 1
)

// Fixed places in the tree (token layout of OpenSC's profile for this family).
var (
	mf       = pkcs15.NewPath(0x3F00)
	sysKeyDF = pkcs15.NewPath(0x3F00, 0x1000, 0x1000)
	publicDF = sysKeyDF.Append(0x6001) // RSFs of public keys
	secretDF = sysKeyDF.Append(0x6002) // RSFs of private keys
)

// parent is the DF that a file is in.
func parent(p pkcs15.Path) pkcs15.Path { return p[:len(p)-2] }

// selection is what the card has selected, as far as we made it so.
type selection struct {
	path pkcs15.Path // nil if unknown
	fcp  fcp
	mse  mse
	// An RSF was made last: wherever the card has filed it, another one can be made
	// right after it, as OpenSC does with the halves of a key pair.
	afterRSF bool
	// Where path is unknown: the EF that was made last, in a DF that was selected
	// just before. It is current (ISO 7816-9:2017 §9.1 has it so), or no EF is.
	made    pkcs15.Path
	madeFCP fcp
}

// at reports whether the current DF is surely df. SELECT of an EF makes its DF
// the current one: OpenSC deletes files by that.
func (s selection) at(df pkcs15.Path) bool {
	if s.path == nil {
		return false
	}
	if s.fcp.kind == KindDF {
		return s.path.Equal(df)
	}
	return parent(s.path).Equal(df)
}

// moved forgets what is selected.
func (t *Token) moved() { t.current = selection{} }

// selectFile makes the file at a path from the MF current and gives its FCP. A
// file that is current already is not selected again.
func (t *Token) selectFile(ctx context.Context, p pkcs15.Path) (fcp, error) {
	if t.current.path != nil && t.current.path.Equal(p) {
		return t.current.fcp, nil
	}
	t.moved()
	cmd := iso7816.Command{CLA: claISO, INS: insSelect, P1: 0x08, Ne: iso7816.MaxShortNe}
	if p.Equal(mf) {
		cmd.P1, cmd.Data = 0x00, mf // the MF has no path from itself
	} else {
		cmd.Data = bytes.TrimPrefix(p, mf)
	}
	data, err := t.ch.do(ctx, cmd)
	if err != nil {
		return fcp{}, fmt.Errorf("%v: %w", p, err)
	}
	f, err := parseFCP(data)
	if err != nil {
		return fcp{}, fmt.Errorf("%v: %w", p, err)
	}
	t.current = selection{path: append(pkcs15.Path(nil), p...), fcp: f}
	return f, nil
}

// read reads the current EF from an offset on, at most n bytes and not beyond
// its end, in as few commands as there can be.
func (t *Token) read(ctx context.Context, offset, n int) ([]byte, error) {
	size := min(t.current.fcp.size, maxFile)
	n = min(n, size-offset)
	var content []byte
	for len(content) < n {
		at := offset + len(content)
		ne := min(n-len(content), maxRead)
		data, sw, err := t.ch.send(ctx, iso7816.Command{
			CLA: claISO, INS: insReadBinary, P1: byte(at >> 8), P2: byte(at), Ne: ne,
		})
		switch {
		case err != nil:
			return nil, err
		case sw == iso7816.SWEndOfFile: // shorter than its FCP says
			return append(content, data...), nil
		case !sw.OK():
			return nil, &StatusError{SW: sw, INS: insReadBinary}
		case len(data) == 0:
			return nil, fmt.Errorf("READ BINARY: %w: no data", ErrAnswer)
		}
		content = append(content, data...)
	}
	return content, nil
}

// readFile reads a whole transparent EF.
func (t *Token) readFile(ctx context.Context, p pkcs15.Path) ([]byte, error) {
	f, err := t.selectFile(ctx, p)
	if err != nil {
		return nil, err
	}
	b, err := t.read(ctx, 0, f.size)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", p, err)
	}
	return b, nil
}

// update writes one piece of the current EF; data has 1 to 255 bytes.
func (t *Token) update(ctx context.Context, offset int, data []byte) error {
	_, err := t.ch.do(ctx, iso7816.Command{
		CLA: claISO, INS: insUpdateBinary, P1: byte(offset >> 8), P2: byte(offset), Data: data,
	})
	return err
}

// writeNew fills a file that nothing refers to yet.
func (t *Token) writeNew(ctx context.Context, p pkcs15.Path, content []byte) error {
	at := 0
	if t.current.made != nil && t.current.made.Equal(p) {
		// No other EF can be current. If this one is, it need not be selected, and
		// neither need the next ones.
		n := min(maxUpdate, len(content))
		err := t.update(ctx, 0, content[:n])
		if err == nil {
			at, t.newIsCurrent = n, true
			t.current = selection{path: p, fcp: t.current.madeFCP}
		} else if !refusal(err) {
			return fmt.Errorf("%v: %w", p, err)
		}
	}
	if _, err := t.selectFile(ctx, p); err != nil {
		return err
	}
	for ; at < len(content); at += maxUpdate {
		if err := t.update(ctx, at, content[at:min(at+maxUpdate, len(content))]); err != nil {
			return fmt.Errorf("%v: %w", p, err)
		}
	}
	return nil
}

// create makes a file in a DF. The card files an RSF by its type, wherever it
// is made.
func (t *Token) create(ctx context.Context, df pkcs15.Path, f fcp) error {
	if !t.current.at(df) && !(t.current.afterRSF && f.kind == KindRSF) {
		if _, err := t.selectFile(ctx, df); err != nil {
			return err
		}
	}
	before := t.current
	t.moved()
	_, err := t.ch.do(ctx, iso7816.Command{CLA: claISO, INS: insCreateFile, Data: f.appendTo(nil)})
	if err != nil {
		return fmt.Errorf("%v %04X in %v: %w", f.kind, f.id, df, err)
	}
	switch {
	case f.kind == KindRSF:
		t.current.afterRSF = true
	case f.kind == KindEF && t.newIsCurrent:
		t.current = selection{path: df.Append(f.id), fcp: f}
	case f.kind == KindEF && before.path != nil && before.fcp.kind == KindDF:
		t.current.made, t.current.madeFCP = df.Append(f.id), f
	}
	return nil
}

// createFree makes a file under the first identifier from f.id to last that is
// not taken, and gives its path.
func (t *Token) createFree(ctx context.Context, df pkcs15.Path, f fcp, last uint16, taken func(uint16) bool) (pkcs15.Path, error) {
	for ; f.id <= last; f.id++ {
		if taken(f.id) {
			continue
		}
		err := t.create(ctx, df, f)
		if errors.Is(err, iso7816.ErrFileExists) {
			continue // left by an interrupted operation: Check finds it
		}
		if err != nil {
			return nil, err
		}
		return df.Append(f.id), nil
	}
	return nil, fmt.Errorf("no file identifier up to %04X is free: %w", last, ErrNoSpace)
}

// deleteFile deletes a file. The card takes its identifier in the current DF, so
// it is selected first: a deletion must not hit a namesake.
func (t *Token) deleteFile(ctx context.Context, p pkcs15.Path) error {
	if _, err := t.selectFile(ctx, p); err != nil {
		return err
	}
	t.moved()
	if _, err := t.ch.do(ctx, iso7816.Command{CLA: claISO, INS: insDeleteFile, Data: p[len(p)-2:]}); err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	return nil
}

// deleteIfThere is deleteFile for what may be gone already.
func (t *Token) deleteIfThere(ctx context.Context, p pkcs15.Path) error {
	err := t.deleteFile(ctx, p)
	if errors.Is(err, iso7816.ErrNotFound) {
		return nil
	}
	return err
}

// File is one file of the token's tree, as the card lists it.
type File struct {
	Path pkcs15.Path
	Kind FileKind
	Size int // bytes of content; means nothing for a DF
}

// children lists the files of a DF in the card's own order (SELECT first child,
// SELECT next sibling).
func (t *Token) children(ctx context.Context, df pkcs15.Path) ([]File, error) {
	if _, err := t.selectFile(ctx, df); err != nil {
		return nil, err
	}
	cmd := iso7816.Command{CLA: claISO, INS: insSelect, Ne: iso7816.MaxShortNe}
	var files []File
	seen := make(map[uint16]bool)
	for {
		t.moved()
		data, sw, err := t.ch.send(ctx, cmd)
		if err != nil {
			return nil, err
		}
		if sw == iso7816.SWNotFound {
			return files, nil
		}
		if !sw.OK() {
			return nil, fmt.Errorf("files of %v: %w", df, &StatusError{SW: sw, INS: insSelect})
		}
		f, err := parseFCP(data)
		if err != nil {
			return nil, fmt.Errorf("files of %v: %w", df, err)
		}
		if seen[f.id] {
			return nil, fmt.Errorf("files of %v: %w: %04X comes twice", df, ErrAnswer, f.id)
		}
		if len(files) == maxChildren {
			return nil, fmt.Errorf("files of %v: %w: more than %d", df, ErrAnswer, maxChildren)
		}
		seen[f.id] = true
		p := df.Append(f.id)
		files = append(files, File{Path: p, Kind: f.kind, Size: f.size})
		if f.kind == KindDF { // it is current now: the next sibling is asked for in its parent
			if _, err := t.selectFile(ctx, df); err != nil {
				return nil, err
			}
		}
		cmd.P2, cmd.Data = 0x02, p[len(p)-2:]
	}
}

const (
	// maxDepth bounds the tree: nesting is limited only by the card's memory.
	maxDepth = 8
	// maxChildren is how many files the vendor allows in one directory.
	maxChildren = 255
	// maxFiles bounds what a card that makes up files can list. The largest token
	// of the family has less memory than they would take.
	maxFiles = 4096
)

// Files lists the whole tree of the token, however it is formatted, without
// changing anything: each DF before what is in it.
func (t *Token) Files(ctx context.Context) ([]File, error) {
	var all []File
	err := t.operation(ctx, func(ctx context.Context) error {
		var walk func(df pkcs15.Path, depth int) error
		walk = func(df pkcs15.Path, depth int) error {
			files, err := t.children(ctx, df)
			if err != nil {
				return err
			}
			for _, f := range files {
				if len(all) == maxFiles {
					return fmt.Errorf("%w: more than %d files", ErrAnswer, maxFiles)
				}
				all = append(all, f)
				if f.Kind == KindDF && depth < maxDepth {
					if err := walk(f.Path, depth+1); err != nil {
						return err
					}
				}
			}
			return nil
		}
		return walk(mf, 1)
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return all, nil
}
