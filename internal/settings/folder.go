package settings

import (
	"errors"
	"os"
	"path/filepath"
)

// maxLinks is how many links lead from one to the next at most.
const maxLinks = 16

// followed is the file that a path of links leads to, whether it is there or not: a
// link to a file that is kept elsewhere stays one.
func followed(path string) string {
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

// makeFolder makes a folder for its owner alone, with those that it lies in. They
// belong to whoever has the first that was there.
func makeFolder(dir string) (err error) {
	base := dir
	for {
		if _, err := os.Stat(base); err == nil || filepath.Dir(base) == base {
			break
		}
		base = filepath.Dir(base)
	}
	if base == dir {
		return nil
	}
	// From here on nothing leads out of base, also if its owner puts links in the way.
	root, err := os.OpenRoot(base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	inside, err := filepath.Rel(base, dir)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(inside, 0o700); err != nil {
		return err
	}
	uid, gid, is := foreign(base)
	for ; is && inside != "."; inside = filepath.Dir(inside) {
		if err := root.Lchown(inside, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// giveAway gives a new file to the owner of its folder.
func giveAway(f *os.File, path string) error {
	uid, gid, is := foreign(filepath.Dir(path))
	if !is {
		return nil
	}
	return f.Chown(uid, gid)
}
