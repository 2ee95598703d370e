package limit

import "context"

// Source holds how often something has happened. It is safe for concurrent use and
// cannot fail; see the package comment for what that asks of a remote one.
type Source interface {
	// Spend takes one event from the key's rate.
	Spend(ctx context.Context, key string, r Rate) Decision
}
