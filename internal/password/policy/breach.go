package policy

import (
	"context"
	"crypto/sha1" //nolint:gosec // G505: by which breached passwords are published
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
)

// Options of a Checker. What a realm asks for and is not given here counts as a source that does not answer.
type Options struct {
	// HTTP asks the service at RangeURL: GET RangeURL/range/XXXXX, the first five hexadecimal digits of a SHA-1,
	// is answered by the other 35 of all that begin so, each with a count (SUFFIX:COUNT); a count of 0 is padding.
	HTTP     *safehttp.Client
	RangeURL string
	// List holds SHA-1 hashes in hexadecimal, sorted, one a line, each perhaps with :COUNT; ListSize is its length
	// in bytes.
	List     io.ReaderAt
	ListSize int64
	Log      *slog.Logger
}

// Checker checks passwords by the policy of their realm, known breaches included. A process has one. It is safe for
// concurrent use.
type Checker struct {
	o                      Options
	unknown, found, failed atomic.Int64
}

// NewChecker makes a checker.
func NewChecker(o Options) *Checker {
	o.RangeURL = strings.TrimSuffix(o.RangeURL, "/")
	return &Checker{o: o}
}

// Stats describe a checker for metrics: how many passwords were looked up in breaches and not found there, how many
// were, and how many could not be looked up.
type Stats struct{ Unknown, Found, Failed int64 }

// Stats reads the counters.
func (c *Checker) Stats() Stats { return Stats{c.unknown.Load(), c.found.Load(), c.failed.Load()} }

// Check returns what is wrong with a new password; none means acceptable. It may wait for a service for five seconds:
// not inside a transaction. The error is the context's: a source of breaches that fails is logged, and the password
// then counts as unknown to it.
func (c *Checker) Check(ctx context.Context, r realm.Realm, plain string, about Person) ([]Violation, error) {
	p := Of(r)
	broken := p.Check(plain, about)
	if len(broken) > 0 || p.rules.Breached == realm.BreachedOff {
		return broken, nil
	}
	normal, err := password.Normalize(plain)
	if err != nil {
		return nil, err
	}
	known, err := c.leaked(ctx, p.rules.Breached, normal)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		c.failed.Add(1)
		c.o.Log.WarnContext(ctx, "cannot tell whether a new password is known from a breach; it counts as unknown",
			"realm", r.Slug, "source", p.rules.Breached, "error", err)
		return nil, nil
	case known:
		c.found.Add(1)
		return []Violation{violation(Leaked, nil)}, nil
	}
	c.unknown.Add(1)
	return nil, nil
}

func (c *Checker) leaked(ctx context.Context, source, normal string) (bool, error) {
	sum := sha1.Sum([]byte(normal)) //nolint:gosec // G401: by which breached passwords are published
	digest := strings.ToUpper(hex.EncodeToString(sum[:]))
	if source == realm.BreachedList {
		if c.o.List == nil {
			return false, errors.New("this process has no list of breached passwords")
		}
		return listed(c.o.List, c.o.ListSize, digest)
	}
	if c.o.HTTP == nil || c.o.RangeURL == "" {
		return false, errors.New("this process knows no service of breached passwords")
	}
	return c.ranged(ctx, digest)
}

// ranged tells the service five digits of the hash and looks for the others in its answer. Padding hides from whoever
// watches the wire which answer it was.
func (c *Checker) ranged(ctx context.Context, digest string) (bool, error) {
	const told = 5
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.o.RangeURL+"/range/"+digest[:told], nil)
	if err != nil {
		return false, errors.New("the address of the service is not a URL")
	}
	req.Header.Set("Accept", "text/plain")
	req.Header.Set("Add-Padding", "true")
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return false, err
	}
	if resp.Status != http.StatusOK {
		return false, fmt.Errorf("the service answered %d", resp.Status)
	}
	for line := range strings.Lines(string(resp.Body)) {
		suffix, count, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.EqualFold(suffix, digest[told:]) {
			return count != "0", nil
		}
	}
	return false, nil
}

// listed searches a sorted list without reading more of it than a few lines.
func listed(list io.ReaderAt, size int64, digest string) (bool, error) {
	low, high := int64(0), size
	for low < high {
		middle := low + (high-low)/2
		start, line, err := lineFrom(list, middle, size)
		if err != nil {
			return false, err
		}
		if start >= high {
			high = middle
			continue
		}
		if len(line) < len(digest) {
			return false, fmt.Errorf("the list has no hash at byte %d", start)
		}
		switch strings.Compare(strings.ToUpper(line[:len(digest)]), digest) {
		case 0:
			return true, nil
		case -1:
			low = start + int64(len(line))
		default:
			high = middle
		}
	}
	return false, nil
}

// lineFrom returns the first line that begins at or behind an offset, with its line break. Behind the last one it
// returns the size.
func lineFrom(list io.ReaderAt, offset, size int64) (start int64, line string, err error) {
	const window = 256 // of which a line has at most half
	// A line begins at the offset when a line break stands before it.
	from := max(offset-1, 0)
	buffer := make([]byte, min(window, size-from))
	if _, err := list.ReadAt(buffer, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, "", fmt.Errorf("read the list: %w", err)
	}
	text := string(buffer)
	if offset > 0 {
		_, rest, found := strings.Cut(text, "\n")
		if !found && from+int64(len(text)) < size {
			return 0, "", fmt.Errorf("the list has no line near byte %d", offset)
		}
		from += int64(len(text) - len(rest))
		text = rest
	}
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		text = text[:end+1]
	}
	return from, text, nil
}
