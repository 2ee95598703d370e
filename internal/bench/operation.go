package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
)

// operation is something to measure.
type operation struct {
	name string
	// prepare makes what the workers consume in two windows, outside of both, and returns what runs a window.
	prepare func(ctx context.Context, t *target, workers int, b budget) (window, error)
	// parts are its floors; nil when they do not say much.
	parts func(f floors) float64
	// statements that the server does not count, since they are not the product's.
	statements int
}

// window runs an operation until the budget is spent.
type window func(ctx context.Context, b budget) (outcome, error)

// floors are the totals that an operation's floor is made of, in µs.
type floors struct{ http, es256, read, commit float64 }

func (f floors) tokens() float64 { return f.http + 2*f.es256 + f.read + f.commit }

// operations are all there are, in the order of the table.
func operations() []operation {
	return []operation{
		{name: "floor_http", prepare: plain((*target).empty)},
		{name: "floor_es256", prepare: inServer("floor_es256")},
		{name: "floor_rs256", prepare: inServer("floor_rs256")},
		{name: "floor_read", prepare: inServer("floor_read"), statements: 1},
		{name: "floor_commit", prepare: inServer("floor_commit"), statements: 1},
		{name: "discovery", prepare: plain((*target).discovery), parts: func(f floors) float64 { return f.http }},
		{name: "jwks", prepare: plain((*target).jwks), parts: func(f floors) float64 { return f.http }},
		{name: "authorize", prepare: plain(func(t *target, ctx context.Context, worker int) error {
			_, err := t.authorize(ctx, worker)
			return err
		}), parts: func(f floors) float64 { return f.http + f.read + f.commit }},
		{name: "code_exchange", prepare: prepareExchange, parts: floors.tokens},
		{name: "refresh", prepare: prepareRefresh, parts: floors.tokens},
		{name: "userinfo", prepare: prepareUserinfo, parts: func(f floors) float64 { return f.http + f.read }},
		{name: "client_credentials_es256", prepare: clientCredentials("ES256"), parts: func(f floors) float64 { return f.http + f.es256 }},
		{name: "client_credentials_eddsa", prepare: clientCredentials("EdDSA")},
		{name: "client_credentials_rs256", prepare: clientCredentials("RS256")},
		{name: "introspection", prepare: prepareIntrospection, parts: func(f floors) float64 { return f.http + f.read }},
		{name: "revocation", prepare: prepareRevocation, parts: func(f floors) float64 { return f.http + f.commit }},
		{name: "login", prepare: plain((*target).login)},
	}
}

// choose returns the named operations, all when none is named.
func choose(names []string) ([]operation, error) {
	all := operations()
	if len(names) == 0 {
		return all, nil
	}
	var list []operation
	for _, name := range names {
		at := slices.IndexFunc(all, func(o operation) bool { return o.name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no operation %q", name)
		}
		list = append(list, all[at])
	}
	return list, nil
}

// plain is an operation that needs nothing prepared.
func plain(do func(t *target, ctx context.Context, worker int) error) func(context.Context, *target, int, budget) (window, error) {
	return func(_ context.Context, t *target, workers int, _ budget) (window, error) {
		return driven(workers, func(ctx context.Context, worker int) error { return do(t, ctx, worker) }), nil
	}
}

func driven(workers int, do step) window {
	return func(ctx context.Context, b budget) (outcome, error) { return drive(ctx, workers, b, do), nil }
}

// inServer is a loop inside the server's process.
func inServer(op string) func(context.Context, *target, int, budget) (window, error) {
	return func(_ context.Context, t *target, workers int, _ budget) (window, error) {
		return func(ctx context.Context, b budget) (o outcome, err error) {
			err = t.private(ctx, http.MethodPost, "/bench/loop", loop{op, workers, b}, &o)
			return o, err
		}, nil
	}
}

// prepareExchange gets the codes that the workers spend. Getting one costs less than spending it, so that they last.
func prepareExchange(ctx context.Context, t *target, workers int, b budget) (window, error) {
	codes := make([][]string, workers)
	got := drive(ctx, workers, b, func(ctx context.Context, worker int) error {
		code, err := t.authorize(ctx, worker)
		codes[worker] = append(codes[worker], code)
		return err
	})
	if got.Errors > 0 {
		return nil, fmt.Errorf("get codes: %s", got.Failure)
	}
	return driven(workers, func(ctx context.Context, worker int) error {
		mine := codes[worker]
		if len(mine) == 0 {
			return errUsedUp
		}
		codes[worker] = mine[1:]
		_, err := t.exchange(ctx, mine[0])
		return err
	}), nil
}

// authorizations gets every worker tokens of its own.
func authorizations(ctx context.Context, t *target, workers int) ([]tokens, error) {
	list := make([]tokens, workers)
	got := drive(ctx, workers, budget{Window: requestLimit, Requests: 1}, func(ctx context.Context, worker int) error {
		code, err := t.authorize(ctx, worker)
		if err != nil {
			return err
		}
		list[worker], err = t.exchange(ctx, code)
		return err
	})
	if got.Errors > 0 {
		return nil, fmt.Errorf("get tokens: %s", got.Failure)
	}
	return list, nil
}

// prepareRefresh gives every worker a chain of its own.
func prepareRefresh(ctx context.Context, t *target, workers int, _ budget) (window, error) {
	chains, err := authorizations(ctx, t, workers)
	if err != nil {
		return nil, err
	}
	return driven(workers, func(ctx context.Context, worker int) error {
		next, err := t.refresh(ctx, chains[worker].Refresh)
		if err == nil {
			chains[worker] = next
		}
		return err
	}), nil
}

func prepareUserinfo(ctx context.Context, t *target, workers int, _ budget) (window, error) {
	list, err := authorizations(ctx, t, workers)
	if err != nil {
		return nil, err
	}
	return driven(workers, func(ctx context.Context, worker int) error { return t.userinfo(ctx, list[worker].Access) }), nil
}
