package grant

import "github.com/google/uuid"

// Waiting is how many questions about tokens of a realm wait for the next statement.
func (l *Live) Waiting(realm uuid.UUID) int {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	if a := l.tokens.realms[realm]; a != nil {
		return len(a.waiting)
	}
	return 0
}

// Realms is how many realms have questions.
func (l *Live) Realms() int {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	return len(l.tokens.realms)
}
