package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// lockPatience is how long another program may take to change the file: each has the
// lock for a few milliseconds.
const lockPatience = 10 * time.Second

// heading begins a file that did not exist.
const heading = `# Settings of kaztoken, for its commands and its panel. What is not here has its
# standard value.

`

// Update reads the file, lets change change the settings and replaces the file as a
// whole, so that a crash leaves the old one or the new one. Everything in it but
// the values that have changed stays byte for byte. Programs that do it at the same
// moment do it one after the other. The file is readable to its owner alone.
//
// A value that may not be is an [Error] without a file; then and where the file
// cannot be read, it stays as it is. An error of change is returned as it is and
// nothing is written.
//
// A program that keeps the file locked for long is [ErrLocked].
//
// The first Update takes settings.json over if there is no file yet, and renames
// it to settings.json.old.
func Update(path string, change func(*Settings) error) (err error) {
	path = followed(path)
	dir := filepath.Dir(path)
	if err := makeFolder(dir); err != nil {
		return err
	}
	lock, err := takeLock(filepath.Join(dir, "."+filepath.Base(path)+".lock"), lockPatience)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	d, before, old, err := load(path)
	if err != nil {
		return err
	}
	after := before
	if err := change(&after); err != nil {
		return err
	}
	if err := after.Check(); err != nil {
		return err
	}
	if after.equal(before) && old == "" {
		return nil
	}
	if d.text == nil { // there is no file: all that is not standard is new
		before = Standard()
	}
	text, err := edit(d, before, after)
	if err != nil {
		return inFile(path, err)
	}
	if err := replace(path, text); err != nil {
		return err
	}
	if old != "" {
		return os.Rename(old, old+".old")
	}
	return nil
}

// edit gives the text that says after in place of before.
func edit(d document, before, after Settings) ([]byte, error) {
	if len(d.text) == 0 {
		d = document{text: []byte(heading)}
	}
	change := func(text []byte) error {
		var err error
		d, err = parseDocument(text)
		return err
	}
	for _, k := range keys {
		v := k.get(&after)
		if v == k.get(&before) {
			continue
		}
		if err := change(d.set(literal(v), k.path...)); err != nil {
			return nil, err
		}
	}
	for _, serial := range slices.Sorted(maps.Keys(before.defaults)) {
		if _, stays := after.defaults[serial]; stays {
			continue
		}
		if err := change(d.remove(defaultsTable, serial)); err != nil {
			return nil, err
		}
	}
	for _, serial := range slices.Sorted(maps.Keys(after.defaults)) {
		id := after.defaults[serial]
		if id == before.defaults[serial] {
			continue
		}
		if err := change(d.set(literal(id), defaultsTable, serial)); err != nil {
			return nil, err
		}
	}
	// What was written is read, so that a text in which our edits do not take is
	// not spoilt.
	if _, got, err := parse(d.text); err != nil || !got.equal(after) {
		return nil, errors.Join(&Error{Want: "cannot be edited: change it by hand"}, err)
	}
	return d.text, nil
}

func (s Settings) equal(other Settings) bool {
	for _, k := range keys {
		if k.get(&s) != k.get(&other) {
			return false
		}
	}
	return maps.Equal(s.defaults, other.defaults)
}

// replace puts a file in the place of another.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".settings-*") // of mode 0600
	if err != nil {
		return err
	}
	if err = giveAway(f, path); err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
