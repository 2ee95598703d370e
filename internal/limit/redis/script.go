package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// The scripts are package limit's arithmetic, in whole microseconds, which Lua's numbers hold exactly. Keys expire
// some time after they stopped to matter; what a key holds is judged by its times, never by its existence.
const (
	clockScript = `
local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function expire(key, us)
  redis.call('PEXPIRE', key, math.max(math.ceil(us / 1000), 0) + 60000)
end
local now = clock()
`

	// KEYS: one rate. ARGV: clock, µs for one event, burst.
	// Answers {allowed, remaining, µs to wait}.
	spendScript = clockScript + `
local every, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or 0)
if tat < now then tat = now end
local full = tat + every
local allowed = full - burst * every
if allowed > now then return {0, 0, allowed - now} end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 60000)
return {1, math.floor((now - allowed) / every), 0}
`

	// A counter is a hash: n failures, s since when they leak, u no attempt before, g forgotten from then on, t the
	// pair is trusted until.
	counterScript = clockScript + `
local function read(key)
  local v = redis.call('HMGET', key, 'n', 's', 'u', 'g', 't')
  return {
    n = tonumber(v[1] or 0), s = tonumber(v[2] or 0), u = tonumber(v[3] or 0),
    g = tonumber(v[4] or 0), t = tonumber(v[5] or 0),
  }
end
local function write(key, c)
  local f = function(v) return string.format('%.0f', v) end
  redis.call('HSET', key, 'n', f(c.n), 's', f(c.s), 'u', f(c.u), 'g', f(c.g), 't', f(c.t))
  expire(key, math.max(c.g, c.t) - now)
end
`

	// KEYS: counters. ARGV: clock, then for each kind, free, first, most, hard, hard delay, leak, forget.
	// Answers {µs to wait} or {0, the end of the delay that each failure caused}.
	chargeScript = counterScript + `
local function policy(i)
  local a = 2 + (i - 1) * 8
  local v = function(k) return tonumber(ARGV[a + k]) end
  return {
    kind = v(0), free = v(1), first = v(2), most = v(3), hard = v(4), harddelay = v(5), leak = v(6), forget = v(7),
  }
end
local function age(c, p)
  if now >= c.g then
    c.n, c.s, c.u, c.g = 0, 0, 0, 0
  elseif p.leak > 0 and now > c.s then
    local leaked = math.floor((now - c.s) / p.leak)
    if leaked >= c.n then
      c.n, c.s = 0, now
    else
      c.n, c.s = c.n - leaked, c.s + leaked * p.leak
    end
  end
end
local function delay(n, p)
  if n < p.free then return 0 end
  if p.hard > 0 and n >= p.hard then return p.harddelay end
  local d = p.first
  for _ = 1, n - p.free do
    d = d * 2
    if d >= p.most then return p.most end
  end
  return d
end
local counters, policies, trusted = {}, {}, false
for i, key in ipairs(KEYS) do
  policies[i] = policy(i)
  counters[i] = read(key)
  if policies[i].kind == 3 and counters[i].t > now then trusted = true end
end
local wait = 0
for i, c in ipairs(counters) do
  age(c, policies[i])
  if not (trusted and policies[i].kind == 1) then wait = math.max(wait, c.u - now) end
end
if wait > 0 then return {wait} end
local answer = {0}
for i, c in ipairs(counters) do
  local p = policies[i]
  if c.n == 0 then c.s = now end
  c.n = c.n + 1
  if p.leak <= 0 then c.s = now end
  c.g = now + p.forget
  local d = delay(c.n, p)
  answer[i + 1] = 0
  if d > 0 and c.u <= now then
    c.u = now + d
    answer[i + 1] = c.u
  end
  if p.kind == 3 and c.n >= p.free then c.t = 0 end
  write(KEYS[i], c)
end
return answer
`

	// KEYS: counters. ARGV: clock, then for each action, free, the end of the delay that it caused, µs of trust.
	settleScript = counterScript + `
for i, key in ipairs(KEYS) do
  local a = 2 + (i - 1) * 4
  local action, free = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
  local lock, trust = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  if action == 0 then
    local c = read(key)
    if c.n > 0 then
      c.n = c.n - 1
      if c.u == lock or c.n < free then c.u = 0 end
      write(key, c)
    end
  else
    local c = {n = 0, s = 0, u = 0, g = 0, t = 0}
    if action == 1 then c.t = read(key).t else c.t = now + trust end
    if c.t > now then write(key, c) else redis.call('DEL', key) end
  end
end
return {}
`
)

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

// clock is what the scripts get as their time: nothing, so that they ask Redis, outside of tests.
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
	answer, ok := s.do(ctx, s.spend, []string{s.rateKey(key)}, s.spendArgs(r))
	if !ok || len(answer) != 3 {
		return s.o.Fallback.Spend(ctx, key, r)
	}
	return limit.Decision{OK: answer[0] == 1, Remaining: int(answer[1]), RetryAfter: time.Duration(answer[2]) * time.Microsecond}
}

// Reserve implements [limit.Source].
func (s *Source) Reserve(ctx context.Context, charges []limit.Charge) ([]time.Time, time.Duration) {
	keys, args := make([]string, len(charges)), []string{s.clock()}
	for i, c := range charges {
		p := c.Policy
		keys[i] = s.failureKey(c.Key)
		args = append(args, strconv.Itoa(kind(c.Key.Kind)), strconv.Itoa(p.Free), micros(p.First), micros(p.Most),
			strconv.Itoa(p.Hard), micros(p.HardDelay), micros(p.Leak), micros(p.Forget))
	}
	answer, ok := s.do(ctx, s.charge, keys, args)
	switch {
	case ok && len(answer) == 1 && answer[0] > 0:
		return nil, time.Duration(answer[0]) * time.Microsecond
	case !ok || len(answer) != 1+len(charges):
		return s.o.Fallback.Reserve(ctx, charges)
	}
	locks := make([]time.Time, len(charges))
	for i, until := range answer[1:] {
		if until > 0 {
			locks[i] = time.UnixMicro(until).UTC()
		}
	}
	return locks, 0
}

// kind is the number of a kind in the scripts.
func kind(k limit.Kind) int {
	switch k {
	case limit.KindAddress:
		return 2
	case limit.KindPair:
		return 3
	case limit.KindAccount:
	}
	return 1
}

// Settle implements [limit.Source].
func (s *Source) Settle(ctx context.Context, settlements []limit.Settlement) {
	if len(settlements) == 0 {
		return
	}
	keys, args := make([]string, len(settlements)), []string{s.clock()}
	for i, v := range settlements {
		keys[i] = s.failureKey(v.Key)
		lock := "0"
		if !v.Lock.IsZero() {
			lock = strconv.FormatInt(v.Lock.UnixMicro(), 10)
		}
		args = append(args, strconv.Itoa(action(v.Action)), strconv.Itoa(v.Policy.Free), lock, micros(limit.TrustPeriod))
	}
	if _, ok := s.do(ctx, s.settle, keys, args); !ok {
		s.o.Fallback.Settle(ctx, settlements)
	}
}

// action is the number of an action in the scripts.
func action(a limit.Action) int {
	switch a {
	case limit.Clear:
		return 1
	case limit.Trust:
		return 2
	case limit.Refund:
	}
	return 0
}
