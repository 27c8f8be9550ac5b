"""The made-up library as SQL: rows that follow from an asset's number, its tags and its batch.

Pictures come in batches of 200, as imports do: one collection, one uploader, one camera, one day.
"""

from __future__ import annotations

BATCH = 200
COLLECTIONS, TOPS = 200, 20
UPLOADERS = 40

FUNCTIONS = """
CREATE FUNCTION pg_temp.r(n bigint, salt bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (hashint8extended(n, salt) & 1048575)::float8 / 1048576;
CREATE FUNCTION pg_temp.pick(choices text[], n bigint, salt bigint) RETURNS text IMMUTABLE LANGUAGE sql
RETURN choices[1 + floor(cardinality(choices) * pg_temp.r(n, salt))::int];
CREATE FUNCTION pg_temp.some(choices text[], n bigint, salt bigint, len int)
RETURNS text IMMUTABLE LANGUAGE sql RETURN (
    SELECT string_agg(choices[1 + floor(cardinality(choices) * pg_temp.r(n, salt + k) ^ 2)::int], ' ')
    FROM generate_series(1, len) AS k
);
"""

STAGING = """
CREATE UNLOGGED TABLE bench_staging (
    id bigint, batch bigint, leaves int[], ancestors int[], tag_ids int[]
)
"""
STAGING_COPY = "COPY bench_staging (id, batch, leaves, ancestors, tag_ids) FROM STDIN"

# A picture without tags is one whose job failed or waits.
UNTAGGED = """
UPDATE bench_staging SET leaves = '{}', ancestors = '{}', tag_ids = '{}' WHERE pg_temp.r(id, 50) < 0.015
"""

BLOBS = """
INSERT INTO assets_blob (id, sha256, size, media_type, key, created_at)
SELECT id, sha, 200000 + floor(9000000 * pg_temp.r(id, 1) ^ 2),
    CASE WHEN pg_temp.r(id, 2) < 0.8 THEN 'image/jpeg' WHEN pg_temp.r(id, 2) < 0.9 THEN 'image/png'
        ELSE 'image/webp' END,
    left(sha, 2) || '/' || substr(sha, 3, 2) || '/' || sha || '/original',
    now()
FROM (SELECT id, encode(sha256(id::text::bytea), 'hex') AS sha FROM bench_staging) AS hashed
"""

VERSIONS = """
INSERT INTO assets_assetversion
    (id, asset_id, number, blob_id, filename, header, placeholder, renditions, created_by_id, created_at)
SELECT s.id, s.id, 1, s.id, 'IMG_' || lpad((s.id %% 9999)::text, 4, '0') || '.jpg', '{}',
    'data:image/jpeg;base64,' || repeat('QUJD', 150),
    jsonb_build_object(
        'grid', jsonb_build_object('key', left(b.key, -8) || 'grid.jpg', 'media_type', 'image/jpeg',
            'width', 480, 'height', 320),
        'preview', jsonb_build_object('key', left(b.key, -8) || 'preview.jpg', 'media_type', 'image/jpeg',
            'width', 1600, 'height', 1067)),
    (%(uploaders)s::int[])[1 + s.batch %% cardinality(%(uploaders)s::int[])], now()
FROM bench_staging AS s JOIN assets_blob AS b ON b.id = s.id
"""

ASSETS = """
INSERT INTO assets_asset (
    id, collection_id, current_version_id, filename, sort_name, title, description, width, height, size,
    media_type, taken_at, camera, uploaded_by_id, created_at, updated_at, state, reason, detail, generation,
    licence, copyright_holder, credit, release_status, expires_on, embargo_until, trashed_at, colours,
    tag_ids, words
)
SELECT id, collection_id, id, filename, sort_name, title, description, width, height, size,
    media_type, taken_at, camera, uploaded_by_id, created_at, created_at, state,
    CASE state WHEN 'failed' THEN 'unreadable' ELSE '' END,
    CASE state WHEN 'failed' THEN 'The file is damaged.' ELSE '' END, 1,
    licence, CASE WHEN licence = '' THEN '' ELSE 'Somebody' END, '', release_status,
    expires_on, embargo_until, trashed_at, colours, tag_ids,
    to_tsvector('simple', title || ' ' || description || ' ' || translate(filename, '_.', '  '))
FROM (
    SELECT s.id, s.tag_ids,
        (%(collections)s::int[])[1 + floor(cardinality(%(collections)s::int[]) * pg_temp.r(s.batch, 3))::int]
            AS collection_id,
        'IMG_' || lpad((s.id %% 9999)::text, 4, '0') || '.jpg' AS filename,
        'img ' || lpad((s.id %% 9999)::text, 8, '0') || ' jpg' AS sort_name,
        CASE WHEN pg_temp.r(s.id, 4) < 0.6 THEN pg_temp.some(%(words)s::text[], s.id, 100, 2) ELSE '' END
            AS title,
        CASE WHEN pg_temp.r(s.id, 5) < 0.3 THEN pg_temp.some(%(words)s::text[], s.id, 200, 8) ELSE '' END
            AS description,
        CASE WHEN pg_temp.r(s.id, 6) < 0.7 THEN 6000 WHEN pg_temp.r(s.id, 6) < 0.95 THEN 4000 ELSE 3000 END
            AS width,
        CASE WHEN pg_temp.r(s.id, 6) < 0.7 THEN 4000 WHEN pg_temp.r(s.id, 6) < 0.95 THEN 6000 ELSE 3000 END
            AS height,
        b.size, b.media_type,
        CASE WHEN pg_temp.r(s.id, 7) < 0.9 THEN
            timestamptz '2015-01-01 08:00Z' + s.batch * (interval '4000 days' / %(batches)s)
            + interval '10 hours' * pg_temp.r(s.id, 8) - interval '300 days' * pg_temp.r(s.batch, 9) ^ 4 END
            AS taken_at,
        (%(cameras)s::text[])[1 + floor(30 * pg_temp.r(s.batch, 10) ^ 2)::int] AS camera,
        (%(uploaders)s::int[])[1 + s.batch %% cardinality(%(uploaders)s::int[])] AS uploaded_by_id,
        timestamptz '2015-01-02 08:00Z' + s.id * (interval '4000 days' / %(assets)s) AS created_at,
        CASE WHEN s.tag_ids <> '{}' THEN 'tagged' WHEN s.id %% 3 = 0 THEN 'pending' ELSE 'failed' END
            AS state,
        (%(licences)s::text[])[1 + floor(8 * pg_temp.r(s.batch, 11) ^ 2)::int] AS licence,
        CASE WHEN pg_temp.r(s.id, 12) < 0.2 THEN 'obtained' ELSE '' END AS release_status,
        CASE WHEN pg_temp.r(s.id, 13) < 0.02 THEN
            current_date + floor(1000 * (pg_temp.r(s.id, 14) - 0.3))::int END AS expires_on,
        CASE WHEN pg_temp.r(s.id, 15) < 0.005 THEN
            current_date + floor(300 * (pg_temp.r(s.id, 16) - 0.5))::int END AS embargo_until,
        CASE WHEN pg_temp.r(s.id, 17) < 0.005 THEN now() - interval '20 days' * pg_temp.r(s.id, 18) END
            AS trashed_at,
        (ARRAY[pg_temp.pick(%(colours)s::text[], s.id, 19), pg_temp.pick(%(colours)s::text[], s.id, 20)])
            [:1 + (pg_temp.r(s.id, 21) < 0.6)::int] AS colours
    FROM bench_staging AS s JOIN assets_blob AS b ON b.id = s.id
) AS made
ORDER BY id
"""

CLAIMS = """
INSERT INTO tagging_claim
    (asset_id, tag_id, state, source, score, threshold, model_version_id, decided_by_id, decided_at)
SELECT id, tag, CASE WHEN decided THEN 'accepted' ELSE 'suggested' END, 'model',
    greatest(0.31, 0.98 - 0.09 * place - 0.06 * pg_temp.r(id, 30 + place)), 0.3, %(model)s,
    CASE WHEN decided THEN (%(uploaders)s::int[])[1 + id %% cardinality(%(uploaders)s::int[])] END,
    CASE WHEN decided THEN now() END
FROM (
    SELECT s.id, t.tag, t.place, pg_temp.r(s.id, 40 + t.place) < 0.05 AS decided
    FROM bench_staging AS s, unnest(s.leaves || s.ancestors) WITH ORDINALITY AS t (tag, place)
) AS shown
ORDER BY id, place
"""

REJECTED = """
INSERT INTO tagging_claim
    (asset_id, tag_id, state, source, score, threshold, model_version_id, decided_by_id, decided_at)
SELECT id, tag, 'rejected', 'model', 0.5, 0.3, %(model)s, (%(uploaders)s::int[])[1], now()
FROM (
    SELECT s.id, s.tag_ids, %(first_leaf)s + floor(1000 * pg_temp.r(s.id, 60))::int AS tag
    FROM bench_staging AS s WHERE s.id %% 33 = 0
) AS refused
WHERE NOT tag = ANY(tag_ids)
"""

LIBRARY_WORDS = """
INSERT INTO assets_libraryword (word)
SELECT word FROM ts_stat('SELECT words FROM assets_asset') WHERE word !~ '[0-9]' AND length(word) <= 64
ON CONFLICT DO NOTHING
"""

LIKENESS_COPY = """
COPY tagging_likeness (asset_id, embedding_id, embedding, fingerprint, bands, paired_at)
FROM STDIN (FORMAT BINARY)
"""

# What slows a load down comes back when it is over.
KEYS_OF = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(%s::regclass[])
"""
INDEXES_OF = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
UNIQUES_OF = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'u' AND conrelid = ANY(%s::regclass[])
"""
