-- name: RecordEvent :one
-- RecordEvent writes one prepared event.
SELECT record_event(@event);

-- name: Erase :exec
-- Erase deletes what the log holds of a person beside their id.
DELETE FROM event_personal p WHERE p.user_id = @user_id;

-- name: Latest :one
-- Latest finds the newest event of some types about a person.
SELECT e.seq, e.at FROM events e WHERE e.user_id = @user_id AND e.type = ANY (@types::text[]) ORDER BY e.seq DESC LIMIT 1;

-- name: CountAfter :one
-- CountAfter counts the events of a type about a person that came after one, up to a bound.
SELECT count(*) FROM (
  SELECT 1 FROM events e WHERE e.user_id = @user_id AND e.type = @type AND e.seq > @seq LIMIT @most) AS n;

-- name: EnsureCursor :exec
-- EnsureCursor makes the cursor of a consumer that has none.
INSERT INTO consumer_cursors (name, moved_at) VALUES (@consumer, @now) ON CONFLICT (name) DO NOTHING;

-- name: LockCursor :one
-- LockCursor takes the cursor, or finds none when another process holds it.
SELECT c.xact::text AS xact, c.seq FROM consumer_cursors c WHERE c.name = @consumer FOR UPDATE SKIP LOCKED;

-- name: MoveCursor :exec
-- MoveCursor notes how far a consumer came.
UPDATE consumer_cursors c SET xact = sqlc.arg(xact)::text::xid8, seq = @seq, moved_at = @now WHERE c.name = @consumer;

-- name: Batch :many
-- Batch reads events of all realms in commit order: those of transactions below the oldest running one.
SELECT e.realm_id, e.seq, e.id, e.xact::text AS xact, e.type, e.at, e.user_id, e.client_id, e.session_id, e.object, e.data
FROM events e
WHERE (e.xact, e.seq) > (sqlc.arg(xact)::text::xid8, @seq::bigint) AND e.xact < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.xact, e.seq LIMIT @most;

-- name: Backlog :one
-- Backlog counts the events that a consumer has yet to read, up to a bound.
SELECT count(*) FROM (
  SELECT 1 FROM events e, consumer_cursors c
  WHERE c.name = @consumer AND (e.xact, e.seq) > (c.xact, c.seq) LIMIT @most) AS b;
