package bridge

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// Policy decides who may use the service. It is asked when a connection is made
// and again for each handle: a user who has left the machine to another must not
// get at the card. It may read files, and is called from several goroutines.
type Policy interface {
	Allow(Peer) bool
}

// PolicyFunc is a function as a [Policy].
type PolicyFunc func(Peer) bool

// Allow calls f.
func (f PolicyFunc) Allow(p Peer) bool { return f(p) }

// SameUser allows root and the user that the service itself runs as.
func SameUser() Policy {
	me := uint32(os.Geteuid())
	return PolicyFunc(func(p Peer) bool { return p.UID == 0 || p.UID == me })
}

// Access allows root, the users and groups that it lists, and the users of the
// active local sessions. Where no logind keeps account of sessions, it allows
// the members of FallbackGroups instead of these.
type Access struct {
	Users          []uint32
	Groups         []uint32
	FallbackGroups []uint32
	// Sessions is where logind keeps its account, "/run/systemd" if empty.
	Sessions string
}

// Allow decides.
func (a Access) Allow(p Peer) bool {
	if p.UID == 0 || slices.Contains(a.Users, p.UID) || slices.ContainsFunc(a.Groups, p.In) {
		return true
	}
	root := a.Sessions
	if root == "" {
		root = logindRoot
	}
	active, err := sessionActive(root, p.UID)
	if errors.Is(err, errNoLogind) {
		return slices.ContainsFunc(a.FallbackGroups, p.In)
	}
	return active
}

// UserIDs turns names or numbers of users into numbers.
func UserIDs(names []string) ([]uint32, error) {
	return ids(names, "user", func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// GroupIDs turns names or numbers of groups into numbers.
func GroupIDs(names []string) ([]uint32, error) {
	return ids(names, "group", func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func ids(names []string, what string, lookup func(string) (string, error)) ([]uint32, error) {
	var all []uint32
	for _, name := range names {
		number := name
		if _, err := strconv.ParseUint(name, 10, 32); err != nil {
			if number, err = lookup(name); err != nil {
				return nil, fmt.Errorf("%s %q: %w", what, name, err)
			}
		}
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", what, name, err)
		}
		all = append(all, uint32(id))
	}
	return all, nil
}
