package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// The script is package limit's arithmetic, in whole microseconds, which Lua's numbers hold exactly. Keys expire some
// time after they stopped to matter; what a key holds is judged by its time, never by its existence.
//
// spendScript takes KEYS: one rate; ARGV: the time or nothing, µs for one event, burst. It answers {allowed, remaining,
// µs to wait}.
const spendScript = `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local every, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
if tat < now then tat = now end
local full = tat + every
local allowed = full - burst * every
if allowed > now then return {0, 0, allowed - now} end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 60000)
return {1, math.floor((now - allowed) / every), 0}
`

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

// clock is what the script gets as its time: nothing, so that it asks Redis, outside of tests.
func (s *Source) clock() string {
	if s.o.Clock == nil {
		return ""
	}
	return strconv.FormatInt(s.o.Clock().UnixMicro(), 10)
}

func (s *Source) spendArgs(r limit.Rate) []string {
	// Rounded up: a rate is never more generous than it says.
	every := (r.Every + time.Microsecond - 1).Truncate(time.Microsecond)
	return []string{s.clock(), micros(every), strconv.Itoa(r.Burst)}
}

// Spend implements [limit.Source].
func (s *Source) Spend(ctx context.Context, key string, r limit.Rate) limit.Decision {
	if r.Burst <= 0 || r.Every <= 0 {
		return s.o.Fallback.Spend(ctx, key, r) // nothing to count
	}
	answer, ok := s.do(ctx, []string{s.rateKey(key)}, s.spendArgs(r))
	if !ok || len(answer) != 3 {
		return s.o.Fallback.Spend(ctx, key, r)
	}
	return limit.Decision{OK: answer[0] == 1, Remaining: int(answer[1]), RetryAfter: time.Duration(answer[2]) * time.Microsecond}
}
