package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// cache is what was read from the token and holds until somebody changes it.
type cache struct {
	info  *directory // EF(TokenInfo), read like a directory with one entry
	odf   *directory
	dirs  map[pkcs15.DirType][]*directory
	files map[string][]byte // contents of certificates and public keys, by path
	pins  map[Role]fcp      // zero FCP: the card does not show it
}

// directory is a file of entries that end at the first byte 00.
type directory struct {
	path    pkcs15.Path
	size    int // bytes of the file
	rules   rules
	content []byte // from its start, as far as it was read: beyond the entries
	end     int    // of the entries in content
	damage  error  // what follows the entries is none; the file must not be written
}

// entries are the bytes of the entries.
func (d *directory) entries() []byte { return d.content[:d.end] }

// Layout of a new directory file: it lists what the user may change and anybody
// may read.
const dirSize = 2048

var dirRules = rules{0x43, always, user, 0, 0, 0, 0, user}

// shadowBit tells the two names of a directory apart: it moves from one to the
// other when a change does not fit into one command.
const shadowBit = 0x0010

// readDirectory reads a directory as far as its entries go.
func (t *Token) readDirectory(ctx context.Context, p pkcs15.Path) (*directory, error) {
	f, err := t.selectFile(ctx, p)
	if err != nil {
		return nil, err
	}
	d := &directory{path: p, size: min(f.size, maxFile), rules: f.rules}
	for {
		piece, err := t.read(ctx, len(d.content), maxRead)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
		short := len(piece) < min(maxRead, d.size-len(d.content))
		d.content = append(d.content, piece...)
		var complete bool
		d.end, complete, err = pkcs15.End(d.content)
		whole := len(d.content) >= d.size
		switch {
		case err != nil:
			d.damage = err
			return d, nil
		case short && !complete: // there may be more than what came
			return nil, fmt.Errorf("%v: %w: %d bytes of a file of %d", p, ErrAnswer, len(d.content), d.size)
		case whole && !complete && d.end < len(d.content):
			d.damage = fmt.Errorf("an entry runs over the end: %w", iso7816.ErrTLV)
			return d, nil
		case complete || whole:
			return d, nil
		}
	}
}

// odf is the list of directories.
func (t *Token) odf(ctx context.Context) (*directory, error) {
	if t.cache.odf == nil {
		d, err := t.readDirectory(ctx, t.app.Append(pkcs15.FileODF))
		if err != nil {
			return nil, fmt.Errorf("ODF: %w", err)
		}
		t.cache.odf = d
	}
	return t.cache.odf, nil
}

// directories are the directory files of a type, none if nothing of its kind
// was ever on the token.
func (t *Token) directories(ctx context.Context, dt pkcs15.DirType) ([]*directory, error) {
	if all, ok := t.cache.dirs[dt]; ok {
		return all, nil
	}
	odf, err := t.odf(ctx)
	if err != nil {
		return nil, err
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return nil, fmt.Errorf("ODF: %w", err)
	}
	all := []*directory{}
	for _, e := range list {
		if e.Err != nil || e.Type != dt || len(e.Path) < 2 {
			continue
		}
		d, err := t.readDirectory(ctx, e.Path.Absolute(t.app))
		if errors.Is(err, iso7816.ErrNotFound) {
			continue // Check reports it
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", dt, err)
		}
		all = append(all, d)
	}
	if t.cache.dirs == nil {
		t.cache.dirs = make(map[pkcs15.DirType][]*directory)
	}
	t.cache.dirs[dt] = all
	return all, nil
}

// content reads a file once.
func (t *Token) content(ctx context.Context, p pkcs15.Path) ([]byte, error) {
	if b, ok := t.cache.files[string(p)]; ok {
		return b, nil
	}
	b, err := t.readFile(ctx, p)
	if err != nil {
		return nil, err
	}
	t.keep(p, b)
	return b, nil
}

func (t *Token) keep(p pkcs15.Path, b []byte) {
	if t.cache.files == nil {
		t.cache.files = make(map[string][]byte)
	}
	t.cache.files[string(p)] = b
}

// add appends an entry to the first directory of a type, which is made if there
// is none. The entry is valid with the last command, and not before. What was
// entered before it is valid by then, too.
func (t *Token) add(ctx context.Context, dt pkcs15.DirType, entry []byte) error {
	if err := t.enter(ctx, dt, entry); err != nil {
		return err
	}
	return t.flush(ctx)
}

// enter is add for one of several entries: a directory that has to be made for it
// waits for flush, so that the ODF is written once for all of them.
func (t *Token) enter(ctx context.Context, dt pkcs15.DirType, entry []byte) error {
	all, err := t.directories(ctx, dt)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		err = t.found(ctx, dt, entry)
	} else if err = t.flush(ctx); err == nil { // the order of entries is the order in which they become valid
		err = t.rewrite(ctx, dt, all[0], append(bytes.Clone(all[0].entries()), entry...))
	}
	if err != nil {
		return fmt.Errorf("%v: %w", dt, err)
	}
	return nil
}

// found makes the first directory of a type, with its first entry. The ODF names
// it with the next flush.
func (t *Token) found(ctx context.Context, dt pkcs15.DirType, entry []byte) error {
	d := &directory{path: t.app.Append(dt.Path().ID()), size: dirSize, rules: dirRules}
	if err := t.place(ctx, d, entry); err != nil {
		return err
	}
	t.founded = append(t.founded, d.path)
	t.pending = append(t.pending, pkcs15.ODFEntry{Type: dt, Path: d.path})
	t.cache.dirs[dt] = []*directory{d}
	return nil
}

// flush lists the directories that wait for it in the ODF, in one command. It has
// an entry already for one that was gone and was made anew.
func (t *Token) flush(ctx context.Context) error {
	if len(t.pending) == 0 {
		return nil
	}
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	next := bytes.Clone(odf.entries())
	for _, e := range t.pending {
		if named, err := t.inODF(ctx, e.Path); err != nil {
			return err
		} else if !named {
			next = e.AppendTo(next)
		}
	}
	if err := t.rewrite(ctx, 0, odf, next); err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	t.pending = nil
	return nil
}

// inODF reports whether the ODF names a file.
func (t *Token) inODF(ctx context.Context, p pkcs15.Path) (bool, error) {
	odf, err := t.odf(ctx)
	if err != nil {
		return false, err
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return false, fmt.Errorf("ODF: %w", err)
	}
	return slices.ContainsFunc(list, func(e pkcs15.ODFEntry) bool { return e.Path.Absolute(t.app).Equal(p) }), nil
}

// place makes and fills a directory file that nothing refers to yet. A namesake
// that the ODF does not name is left from an interrupted operation, and goes.
func (t *Token) place(ctx context.Context, d *directory, entries []byte) error {
	f := fcp{kind: KindEF, id: d.path.ID(), size: d.size, rules: d.rules}
	err := t.create(ctx, parent(d.path), f)
	if errors.Is(err, iso7816.ErrFileExists) {
		named, odfErr := t.inODF(ctx, d.path)
		if odfErr != nil {
			return odfErr
		}
		if named {
			return fmt.Errorf("%v: %w: it was not there before", d.path, ErrAnswer)
		}
		if err := t.deleteFile(ctx, d.path); err != nil {
			return err
		}
		err = t.create(ctx, parent(d.path), f)
	}
	if err != nil {
		return err
	}
	content := bytes.Clone(entries)
	if len(content) < d.size {
		content = append(content, 0)
	}
	if err := t.writeNew(ctx, d.path, content); err != nil {
		return errors.Join(err, t.undo(ctx, d.path))
	}
	d.content, d.end = content, len(entries)
	return nil
}

// rewrite makes next the entries of a directory. The change takes effect with
// one command, whatever its size: the one UPDATE BINARY that it fits into; or
// the one that writes the beginning of new entries after the rest of them; or
// the one that puts a new file in the place of the old in the ODF.
func (t *Token) rewrite(ctx context.Context, dt pkcs15.DirType, d *directory, next []byte) error {
	if d.damage != nil {
		return fmt.Errorf("%v: %w: %w", d.path, ErrDirectory, d.damage)
	}
	at := commonPrefix(d.entries(), next)
	if at == d.end && at == len(next) {
		return nil
	}
	if len(next) > d.size {
		return t.replace(ctx, dt, d, next)
	}
	// With zeros over all that the old entries leave behind, if that fits.
	piece := bytes.Clone(next[at:])
	mark := len(piece)
	if len(next) < d.size {
		mark++
	}
	for len(piece) < max(mark, d.end-at) {
		piece = append(piece, 0)
	}
	if len(piece) > maxUpdate {
		piece = piece[:mark]
	}
	if len(piece) > maxUpdate && at < d.end {
		return t.replace(ctx, dt, d, next)
	}
	if _, err := t.selectFile(ctx, d.path); err != nil {
		return err
	}
	for start := (len(piece) - 1) / maxUpdate * maxUpdate; start >= 0; start -= maxUpdate {
		if err := t.update(ctx, at+start, piece[start:min(start+maxUpdate, len(piece))]); err != nil {
			t.cache = cache{} // what the file holds now is not known
			return fmt.Errorf("%v: %w", d.path, err)
		}
	}
	content := append(bytes.Clone(d.content[:min(at, len(d.content))]), piece...)
	if len(content) < len(d.content) {
		content = append(content, d.content[len(content):]...)
	}
	d.content, d.end = content, len(next)
	return nil
}

func commonPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// replace puts a new file, larger if need be, into the place of a directory.
func (t *Token) replace(ctx context.Context, dt pkcs15.DirType, d *directory, next []byte) error {
	if dt == 0 {
		return fmt.Errorf("%v: %d bytes in a file of %d: %w", d.path, len(next), d.size, ErrNoSpace)
	}
	size := d.size
	for size < len(next) {
		size *= 2
	}
	if size > maxFile {
		return fmt.Errorf("%v: %d bytes: %w", d.path, len(next), ErrNoSpace)
	}
	odf, err := t.odf(ctx)
	if err != nil {
		return err
	}
	list, err := pkcs15.ParseODF(odf.entries())
	if err != nil {
		return fmt.Errorf("ODF: %w", err)
	}
	nd := &directory{path: parent(d.path).Append(d.path.ID() ^ shadowBit), size: size, rules: d.rules}
	var names []byte
	for _, e := range list {
		if e.Err == nil && e.Path.Absolute(t.app).Equal(nd.path) {
			return fmt.Errorf("%v: %w: it is in use", nd.path, ErrNoSpace)
		}
		if e.Err == nil && e.Path.Absolute(t.app).Equal(d.path) {
			e.Path = nd.path
		}
		names = e.AppendTo(names)
	}
	err = t.place(ctx, nd, next)
	if errors.Is(err, iso7816.ErrNoSpace) && len(next)+1 < nd.size {
		// Whoever wants to make room must be able to delete: a file just large
		// enough may fit. It grows with the next entry.
		nd.size = len(next) + 1
		err = t.place(ctx, nd, next)
	}
	if err != nil {
		return err
	}
	if err := t.rewrite(ctx, 0, odf, names); err != nil {
		return errors.Join(fmt.Errorf("ODF: %w", err), t.settle(ctx, d.path, nd.path))
	}
	old := d.path
	*d = *nd
	return passRefusal(t.deleteFile(ctx, old)) // what stays is left to Check
}

// tokenInfo reads EF(TokenInfo).
func (t *Token) tokenInfo(ctx context.Context) (pkcs15.TokenInfo, error) {
	if t.cache.info == nil {
		d, err := t.readDirectory(ctx, t.app.Append(pkcs15.FileTokenInfo))
		if err != nil {
			return pkcs15.TokenInfo{}, fmt.Errorf("EF(TokenInfo): %w", err)
		}
		t.cache.info = d
	}
	info, err := pkcs15.ParseTokenInfo(t.cache.info.content)
	if err != nil {
		return info, fmt.Errorf("EF(TokenInfo): %w", err)
	}
	// It is one entry, whatever stands behind it.
	t.cache.info.end, t.cache.info.damage = info.Len, nil
	return info, nil
}

// generalizedTime has thousandths, which OpenSC does not write, so that two
// programs that change the token within a second can be told apart.
const generalizedTime = "20060102150405.000Z"

// touch writes the time of a change, later than the one that was there, into
// EF(TokenInfo): that is how programs notice that what they have read is old. A
// token without such a time, whose file has no room for it, or who refuses it
// stays as it is: the change is made by now.
func (t *Token) touch(ctx context.Context) error {
	info, err := t.tokenInfo(ctx)
	if err != nil && !refusal(err) && !errors.Is(err, pkcs15.ErrUnknown) {
		return err
	}
	if err != nil || info.LastUpdate == "" {
		return nil // it was not ours
	}
	info.LastUpdate = t.later(info.LastUpdate)
	next := info.AppendTo(nil)
	if len(next) > t.cache.info.size {
		return nil
	}
	if err := t.rewrite(ctx, 0, t.cache.info, next); passRefusal(err) != nil {
		return fmt.Errorf("EF(TokenInfo): %w", err)
	}
	return nil
}

// later is the time now or, if old is not before it, the next thousandth after
// old.
func (t *Token) later(old string) string {
	now := t.clock().UTC().Truncate(time.Millisecond)
	if before, err := parseTime(old); err == nil && !now.After(before) {
		if next := before.Add(time.Millisecond).Truncate(time.Millisecond); next.Year() <= maxYear {
			now = next
		}
	}
	return now.Format(generalizedTime)
}

// maxYear is the last that a GeneralizedTime can say.
const maxYear = 9999

// parseTime reads the two forms of GeneralizedTime in use; time.Parse takes a
// fraction after the seconds where the layout has none.
func parseTime(s string) (time.Time, error) { return time.Parse("20060102150405Z", s) }

// revalidate drops what is kept if another program has changed the token since.
func (t *Token) revalidate(ctx context.Context) error {
	if t.state != StatePKCS15 {
		if err := t.recognise(ctx); err != nil || t.state != StatePKCS15 {
			return err
		}
		return t.date(ctx)
	}
	if t.cache.info == nil { // nothing tells how old the rest is
		t.cache = cache{}
		return t.date(ctx)
	}
	before := t.cache.info.entries()
	t.cache.info = nil
	info, err := t.tokenInfo(ctx)
	if err != nil && !refusal(err) {
		return err
	}
	now, app := t.cache.info, t.app
	if err == nil && bytes.Equal(before, now.entries()) && !t.mayHide(info.LastUpdate) {
		return nil
	}
	readable := err == nil
	if err := t.recognise(ctx); err != nil {
		return err
	}
	if readable && t.state == StatePKCS15 && t.app.Equal(app) {
		t.cache.info = now
	}
	return nil
}

// date reads the time of the last change, if there is one: it tells how old is what
// was read before it.
func (t *Token) date(ctx context.Context) error {
	_, err := t.tokenInfo(ctx)
	if refusal(err) {
		return nil
	}
	return err
}

// mayHide reports whether there can have been a change without a later time of
// the last change: there is none, or it is in whole seconds, as OpenSC writes
// it, and that second is hardly over.
func (t *Token) mayHide(lastUpdate string) bool {
	if lastUpdate == "" {
		return true
	}
	if strings.Contains(lastUpdate, ".") {
		return false
	}
	last, err := parseTime(lastUpdate)
	return err != nil || t.clock().Sub(last).Abs() < 2*time.Second
}
