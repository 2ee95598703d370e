package grant

import "github.com/google/uuid"

// Waiting is how many questions about tokens of a realm wait for the next statement.
func (l *Live) Waiting(realm uuid.UUID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.realms[realm]; a != nil {
		return len(a.waiting)
	}
	return 0
}

// Realms is how many realms have questions.
func (l *Live) Realms() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.realms)
}
