-- name: InsertDelivery :exec
-- InsertDelivery writes a message that is to be sent.
INSERT INTO deliveries (id, template, user_id, locale, suppressed, content, secrets, created_at, next_at, expires_at)
VALUES (@id, @template, sqlc.narg(user_id), @locale, @suppressed, @content, @secrets, @now, @now, @expires_at);

-- name: Claim :one
-- Claim begins an attempt, unless the message has ended, its time has not come or another attempt is under way. The
-- attempt counts from here on, and until @lease nobody else begins one.
UPDATE deliveries d SET attempts = d.attempts + 1, next_at = @lease
WHERE d.id = @id AND d.status = 'pending' AND d.next_at <= @now
RETURNING d.template, d.user_id, d.locale, d.suppressed, d.content, d.secrets, d.attempts, d.failure, d.created_at, d.expires_at,
  coalesce((SELECT u.claims->>'locale' FROM users u WHERE u.id = d.user_id), '')::text AS user_locale;

-- name: NextAttempt :one
-- NextAttempt tells when a message is tried again; no row when it has ended.
SELECT d.next_at FROM deliveries d WHERE d.id = @id AND d.status = 'pending';

-- name: Postpone :execrows
-- Postpone ends an attempt that failed and may be repeated. One that another attempt took over stays as it is.
UPDATE deliveries d SET attempts = @attempts, failure = @failure, next_at = @next_at
WHERE d.id = @id AND d.status = 'pending' AND d.attempts = @claimed;

-- name: End :execrows
-- End notes how a message ended and erases its secrets.
UPDATE deliveries d SET status = @status, failure = @failure, secrets = NULL, ended_at = @now::timestamptz
WHERE d.id = @id AND d.status = 'pending' AND d.attempts = @claimed;

-- name: ExpireDeliveries :many
-- ExpireDeliveries ends at most @most messages whose time ran out and which nobody works on.
UPDATE deliveries d SET status = 'expired', secrets = NULL, ended_at = @now::timestamptz
WHERE d.id IN (SELECT o.id FROM deliveries o WHERE o.status = 'pending' AND o.expires_at < @before
  ORDER BY o.expires_at LIMIT @most FOR UPDATE SKIP LOCKED)
RETURNING d.id, d.template, d.user_id, d.failure, d.attempts;

-- name: DeleteDeliveries :execrows
-- DeleteDeliveries deletes at most @most messages that were written before.
DELETE FROM deliveries d
WHERE d.id IN (SELECT o.id FROM deliveries o WHERE o.created_at < @before ORDER BY o.created_at LIMIT @most FOR UPDATE SKIP LOCKED);

-- name: DeleteDeliveriesOf :exec
-- DeleteDeliveriesOf deletes what was written to a person.
DELETE FROM deliveries d WHERE d.user_id = sqlc.arg(user_id)::uuid;

-- name: FailuresBefore :many
-- FailuresBefore finds the sign-ins before which at least that many attempts had failed, since the person signed in
-- before and since @since, of those who were not told of such since then. Each is found by its key, its person's events
-- and messages by the person.
SELECT s.user_id::uuid AS user_id, s.at::timestamptz AS at, f.failures
FROM unnest(@sign_ins::uuid[]) AS w (id)
CROSS JOIN LATERAL (SELECT o.user_id, o.seq, o.at FROM events o WHERE o.id = w.id LIMIT 1) AS s
CROSS JOIN LATERAL (
  SELECT count(*) AS failures FROM events e
  WHERE e.user_id = s.user_id AND e.seq < s.seq AND e.type IN ('login.refused', 'challenge.refused') AND e.at > @since
    AND e.seq > coalesce((SELECT p.seq FROM events p WHERE p.user_id = s.user_id AND p.seq < s.seq
      AND p.type IN ('session.started', 'session.renewed') ORDER BY p.seq DESC LIMIT 1), 0)
) AS f
WHERE f.failures >= @least::bigint
  AND (SELECT count(*) FROM deliveries d WHERE d.user_id = s.user_id AND d.created_at > @since AND d.template = @template) = 0
ORDER BY s.seq;
