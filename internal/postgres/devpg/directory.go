package devpg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	secretBytes   = 24
	temporaryName = "gatehouse-pg-"
	lockName      = "postgres.lock"
	portName      = "postgres.port"
	logName       = "postgres.log"
)

// directory is the place of one server. It belongs to whoever runs this process; only the cluster in it belongs to
// the account that runs PostgreSQL, so root never follows a name that this account could have replaced.
type directory struct {
	path      string
	data      string
	lock      *os.File
	temporary bool
}

// openDirectory makes the directory if needed and locks it until close.
func openDirectory(ctx context.Context, opts Options) (*directory, error) {
	if opts.Ephemeral && opts.Dir == "" {
		return openTemporary(ctx)
	}
	path := opts.Dir
	if path == "" {
		var err error
		if path, err = defaultDir(); err != nil {
			return nil, err
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("resolve directory of the development database: %w", err)
	}
	if err := os.MkdirAll(path, directoryMode()); err != nil {
		return nil, fmt.Errorf("make directory of the development database: %w", err)
	}
	lock, err := lockIn(path)
	if err != nil {
		return nil, err
	}
	return &directory{path: path, data: filepath.Join(path, "postgres"), lock: lock}, nil
}

// directoryMode lets the account that runs PostgreSQL pass through a directory of root, and nobody else's.
func directoryMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// openTemporary makes a locked temporary directory. It gets the name that sweep looks for only once it is locked, so
// that no other process can take it for an abandoned one.
func openTemporary(ctx context.Context) (*directory, error) {
	if err := sweep(ctx, os.TempDir()); err != nil {
		return nil, err
	}
	made, err := os.MkdirTemp("", "gatehouse-starting-")
	if err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	path := filepath.Join(filepath.Dir(made), temporaryName+strings.TrimPrefix(filepath.Base(made), "gatehouse-starting-"))
	lock, err := lockIn(made)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(made))
	}
	d := &directory{path: made, lock: lock, temporary: true}
	if err := errors.Join(os.Chmod(made, directoryMode()), os.Rename(made, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare temporary directory: %w", err), d.close())
	}
	d.path, d.data = path, filepath.Join(path, "postgres")
	return d, nil
}

// sweep removes the temporary directories of processes that were killed before they could. Their lock is free. What
// cannot be removed stays for another time: it is nobody's reason not to start.
func sweep(ctx context.Context, parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, temporaryName+"*"))
	if err != nil {
		return fmt.Errorf("look for abandoned directories: %w", err)
	}
	for _, path := range left {
		if owner, ok := ownerOf(path); !ok || owner.uid != os.Geteuid() {
			continue
		}
		// The lock is not created here: its owner may be removing the directory at this moment.
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lockFile(lock) == nil && stopStale(ctx, filepath.Join(path, "postgres")) == nil {
			_ = os.RemoveAll(path)
		}
		_ = lock.Close()
	}
	return nil
}

// lockIn takes the lock of the directory and leaves this process's id in it for whoever is refused.
func lockIn(path string) (*os.File, error) {
	name := filepath.Join(path, lockName)
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of the development database: %w", err)
	}
	switch err := lockFile(lock); {
	case errors.Is(err, errLocked):
		return nil, errors.Join(inUse(lock, path), lock.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), lock.Close())
	}
	if err := errors.Join(lock.Truncate(0), writeAt(lock, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock of the development database: %w", err), lock.Close())
	}
	return lock, nil
}

// inUse tells who holds the lock and what to do about it.
func inUse(lock io.Reader, path string) error {
	holder := "another process"
	text, err := io.ReadAll(lock)
	if err != nil {
		return fmt.Errorf("read lock of the development database: %w", err)
	}
	if pid := strings.TrimSpace(string(text)); pid != "" {
		holder = fmt.Sprintf("process %s (end it with `kill %s`)", pid, pid)
	}
	return fmt.Errorf("%w: %s already runs the development database in %s; use that one, or another directory for this one",
		ErrInUse, holder, path)
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// secret returns the text of a file only its owner can read, made on first use. A cluster keeps the passwords it
// was made with, so a missing file beside an old cluster is an error.
func (d *directory) secret(name string, fresh bool) (string, error) {
	path := filepath.Join(d.path, name)
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read password of the development database: %w", err)
	}
	if !fresh {
		return "", fmt.Errorf("password file %s is missing though the cluster exists; put it back, or remove %s to start with an empty database", path, d.path)
	}
	random := make([]byte, secretBytes)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("make password: %w", err)
	}
	made := hex.EncodeToString(random)
	if err := os.WriteFile(path, []byte(made+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep password of the development database: %w", err)
	}
	return made, nil
}

// choosePort returns the port of the last start, or a new one when that is taken, and keeps it for the next start.
func (d *directory) choosePort() (int, error) {
	path := filepath.Join(d.path, portName)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("read port of the development database: %w", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		if port, err := freePort(last); err == nil {
			return port, nil
		}
	}
	port, err := freePort(0)
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return 0, fmt.Errorf("keep port of the development database: %w", err)
	}
	return port, nil
}

// freePort says whether a loopback port can be bound; zero asks for any.
func freePort(wanted int) (int, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: wanted})
	if err != nil {
		return 0, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("listener has no TCP address"), l.Close())
	}
	return address.Port, l.Close()
}

// logTail returns the end of the server's log, for an error message.
func (d *directory) logTail() string {
	const keep = 2000
	text, err := os.ReadFile(filepath.Join(d.path, logName))
	if err != nil {
		return err.Error()
	}
	if len(text) > keep {
		text = text[len(text)-keep:]
	}
	return strings.TrimSpace(string(text))
}

// close removes a temporary directory and releases the lock.
func (d *directory) close() error {
	var err error
	if d.temporary {
		err = os.RemoveAll(d.path)
	}
	if err = errors.Join(err, unlockFile(d.lock), d.lock.Close()); err != nil {
		return fmt.Errorf("release directory of the development database: %w", err)
	}
	return nil
}
