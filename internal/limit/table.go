package limit

import "time"

// digest stands for a key: of fixed size, whatever was typed, and not readable
// in a memory dump. Its seed is the process's own secret, so that nobody can
// look for a key with the digest of another.
type digest uint64

// sample is how many entries an insertion looks at when the table is full, and
// sweep how many when it is not.
const (
	sample = 16
	sweep  = 2
)

// table is a map of bounded size. It is not safe for concurrent use.
//
// A full table makes room by dropping a dead entry or else, of a random sample,
// the entry of the lowest worth. An attacker who floods it with new keys thereby
// drops mostly their own, because keys that are nearly used up are worth more.
type table[V any] struct {
	entries map[digest]V
	limit   int
	// worth orders entries for eviction; zero or less means dead.
	worth func(v V, now time.Time) float64
}

func newTable[V any](limit int, worth func(V, time.Time) float64) *table[V] {
	return &table[V]{entries: map[digest]V{}, limit: max(limit, 1), worth: worth}
}

// put stores v, or drops the entry when v is dead.
func (t *table[V]) put(k digest, v V, now time.Time) {
	if t.worth(v, now) <= 0 {
		delete(t.entries, k)
		return
	}
	if _, known := t.entries[k]; !known {
		t.makeRoom(now)
	}
	t.entries[k] = v
}

// makeRoom relies on maps being ranged over from a random place.
func (t *table[V]) makeRoom(now time.Time) {
	full := len(t.entries) >= t.limit
	look := sweep
	if full {
		look = sample
	}
	var victim digest
	least, looked := 0.0, 0
	for k, v := range t.entries {
		w := t.worth(v, now)
		if w <= 0 {
			delete(t.entries, k)
			full = false
		} else if looked == 0 || w < least {
			victim, least = k, w
		}
		if looked++; looked >= look {
			break
		}
	}
	if full {
		delete(t.entries, victim)
	}
}
