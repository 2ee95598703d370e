package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// account is the operating system's user that runs PostgreSQL. The zero value means the user of this process.
type account struct {
	name     string
	uid, gid int
	other    bool // Another user than that of this process.
}

// accountFor chooses who runs the server. PostgreSQL refuses root, so root hands over to the owner of an existing
// cluster, else to postgres, else to nobody.
func accountFor(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if owner, ok := ownerOf(data); ok && owner.uid != 0 {
		owner.other = true
		return owner, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(found.Uid)
		gid, gidErr := strconv.Atoi(found.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("read ids of user %s: %w", name, err)
		}
		return account{name: name, uid: uid, gid: gid, other: true}, nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it; " +
		"create one with `useradd --system postgres`, or start as an ordinary user")
}

// own gives a path to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// reaches reports as an error the first directory on the way to path that the account may not pass through.
func (a account) reaches(path string) error {
	if !a.other {
		return nil
	}
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("inspect directory of the development database: %w", err)
		}
		owner, ok := ownerOf(dir)
		pass := os.FileMode(0o001)
		switch {
		case ok && owner.uid == a.uid:
			pass = 0o100
		case ok && owner.gid == a.gid:
			pass = 0o010
		}
		if info.Mode()&pass == 0 {
			return fmt.Errorf("PostgreSQL runs as user %s, who may not pass through %s (mode %04o); use another directory, or allow it with `chmod o+x %s`",
				a.name, dir, info.Mode().Perm(), dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}
