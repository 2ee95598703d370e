-- name: LockCounters :exec
-- LockCounters makes whoever else wants one of the counters wait for the end of the transaction. Name them in one order
-- always.
SELECT count(pg_advisory_xact_lock(hashtextextended(counter, 0))) FROM unnest(@counters::text[]) AS counter;

-- name: FindCounters :many
-- FindCounters finds what is known of counters; of those that it leaves out nothing is.
SELECT a.counter, a.failures, a.since, a.wait_until, a.forget_at, a.trusted_until FROM attempts a WHERE a.counter = ANY (@counters::text[]);

-- name: PutCounters :exec
-- PutCounters stores counters.
INSERT INTO attempts (counter, failures, since, wait_until, forget_at, trusted_until, ends_at)
SELECT unnest(@counters::text[]), unnest(@failures::bigint[]), unnest(@since::timestamptz[]), unnest(@wait_until::timestamptz[]),
  unnest(@forget_at::timestamptz[]), unnest(@trusted_until::timestamptz[]), unnest(@ends_at::timestamptz[])
ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET failures = excluded.failures, since = excluded.since,
  wait_until = excluded.wait_until, forget_at = excluded.forget_at, trusted_until = excluded.trusted_until, ends_at = excluded.ends_at;

-- name: DeleteEnded :execrows
-- DeleteEnded deletes counters of which nothing matters any more, a batch at a time.
DELETE FROM attempts a WHERE a.counter IN (
  SELECT o.counter FROM attempts o WHERE o.ends_at < @now ORDER BY o.ends_at LIMIT @most FOR UPDATE SKIP LOCKED);
