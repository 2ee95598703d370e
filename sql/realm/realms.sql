-- name: RealmBySlug :one
-- RealmBySlug reads a realm and its hosts, the first host first.
SELECT r.id, r.slug, r.name, r.status, r.data_key, r.settings, r.flags,
  ARRAY(SELECT h.host FROM realm_hosts h WHERE h.realm_id = r.id ORDER BY h.position)::text[] AS hosts
FROM realms r WHERE r.slug = @slug;

-- name: RealmByHost :one
SELECT r.id, r.slug, r.name, r.status, r.data_key, r.settings, r.flags,
  ARRAY(SELECT h.host FROM realm_hosts h WHERE h.realm_id = r.id ORDER BY h.position)::text[] AS hosts
FROM realm_hosts o JOIN realms r ON r.id = o.realm_id WHERE o.host = @host;

-- name: RealmByID :one
SELECT r.id, r.slug, r.name, r.status, r.data_key, r.settings, r.flags,
  ARRAY(SELECT h.host FROM realm_hosts h WHERE h.realm_id = r.id ORDER BY h.position)::text[] AS hosts
FROM realms r WHERE r.id = @id;

-- name: RealmSlugs :many
SELECT r.slug FROM realms r ORDER BY r.slug;

-- name: LockRealm :one
-- LockRealm reads the transaction's realm and keeps others from changing it.
SELECT r.id, r.slug, r.name, r.status, r.data_key, r.settings, r.flags,
  ARRAY(SELECT h.host FROM realm_hosts h ORDER BY h.position)::text[] AS hosts
FROM realms r FOR UPDATE OF r;

-- name: InsertRealm :exec
INSERT INTO realms (id, slug, name, data_key, settings, flags, created_at, updated_at)
VALUES (@id, @slug, @name, @data_key, @settings, @flags, @now, @now);

-- name: UpdateRealm :exec
UPDATE realms r SET name = @name, settings = @settings, flags = @flags, version = r.version + 1, updated_at = @now;

-- name: SetFirstDataKey :execrows
-- SetFirstDataKey stores the realm's data key when it has none.
UPDATE realms r SET data_key = @data_key, updated_at = @now WHERE r.data_key IS NULL;

-- name: InsertRealmHosts :exec
-- InsertRealmHosts gives the realm these hosts, the first one naming its issuer.
INSERT INTO realm_hosts (host, position)
SELECT h.host, h.position FROM unnest(@hosts::text[]) WITH ORDINALITY AS h (host, position);

-- name: DeleteRealmHosts :exec
DELETE FROM realm_hosts;

-- name: LockDataKey :one
-- LockDataKey reads the realm's sealed data key, to be sealed by another secret key.
SELECT r.data_key FROM realms r FOR UPDATE;

-- name: SetDataKey :exec
UPDATE realms r SET data_key = @data_key, updated_at = @now;
