package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// How long Run waits between two attempts to reach Redis. The pause grows while Redis comes and goes, so that a
// half-broken one (full, read-only, one machine of a cluster down) neither fills the log nor costs each request its
// timeout.
const (
	firstPause  = 500 * time.Millisecond
	longest     = 30 * time.Second
	steadyAfter = 10 * time.Second
)

// Run keeps the source connected until ctx ends. It logs each time Redis goes away or comes back.
func (s *Source) Run(ctx context.Context) {
	var client rueidis.Client
	defer func() {
		s.live.Store(nil)
		if client != nil {
			client.Close()
		}
	}()
	pause, told := firstPause, false
	for ctx.Err() == nil {
		var err error
		if client, err = s.reach(ctx, client); err == nil {
			since := s.o.Now()
			s.live.Store(&connection{client})
			s.o.Log.InfoContext(ctx, "limits are counted in redis")
			select {
			case <-ctx.Done():
				return
			case err = <-s.lost:
			}
			told = false
			if s.o.Now().Sub(since) >= steadyAfter {
				pause = firstPause
			} else {
				pause = min(2*pause, longest)
			}
		}
		if !told && ctx.Err() == nil {
			s.o.Log.WarnContext(ctx, "redis is away; limits are counted by this process alone", "err", err)
			told = true
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// reach connects when nothing is connected yet, and checks that Redis runs a script that writes.
func (s *Source) reach(ctx context.Context, client rueidis.Client) (rueidis.Client, error) {
	if client == nil {
		var err error
		if client, err = rueidis.NewClient(s.client); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	rate := limit.Rate{Burst: 1, Every: time.Millisecond}
	_, err := s.spend.Exec(ctx, client, []string{s.rateKey("probe")}, s.spendArgs(rate)).AsIntSlice()
	if err != nil {
		return client, fmt.Errorf("try a script: %w", err)
	}
	return client, nil
}
