"""What the monitor's looks cost on a library of a million pictures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from django.db import connection

from benchmarks.catalogue import catalogue

PICTURES = 1_000_000
REVIEWS = 20_000
OPEN = 10_000
PENDING_IMPORT = 200_000
ROUNDS = 3

# Rows as the services would leave them, made by the database itself: a million in minutes.
_FILL = (
    # Foreign keys would be looked up one by one, and need files that nobody looks at here.
    """DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT conrelid::regclass AS name, conname FROM pg_constraint WHERE contype = 'f' LOOP
            EXECUTE format('ALTER TABLE %%s DROP CONSTRAINT %%I', one.name, one.conname);
        END LOOP;
    END $$""",
    """INSERT INTO auth_user (id, username, password, first_name, last_name, email, is_superuser, is_staff,
    is_active, date_joined) VALUES (1, 'reviewer', '', '', '', '', false, false, true, now())""",
    """INSERT INTO tagging_tag (slug, name, names, synonyms, ancestor_ids, lookup, kind, threshold, active,
    derive_pending)
    SELECT 'tag-' || n, 'tag ' || n, '{}', '{}', '{}', '{}', 'leaf', 0.3, true, false
    FROM generate_series(1, 1000) n""",
    """INSERT INTO tagging_modelversion (name, version, alias, preprocess_id, vocabulary_id, embedding_id,
    metrics, created_at) VALUES ('tagger', 1, '', 'p', 'v', 'e', '{}', now() - interval '101 days')""",
    """INSERT INTO assets_asset (collection_id, current_version_id, filename, sort_name, title, description,
    width, height, size, media_type, camera, created_at, updated_at, state, reason, detail, generation,
    tag_ids)
    SELECT 1, n, 'IMG_' || n || '.jpg', 'img_' || n || '.jpg', '', '', 6000, 4000, 5000000, 'image/jpeg', '',
        now() - interval '100 days' * (1 - n / %(pictures)s::float), now(),
        CASE WHEN n > %(pictures)s - %(open)s THEN 'pending'
            WHEN n %% 1000 = 0 THEN 'failed' ELSE 'tagged' END,
        CASE WHEN n <= %(pictures)s - %(open)s AND n %% 1000 = 0 THEN 'corrupt' ELSE '' END, '', 1,
        ARRAY[n %% 1000, (n + 1) %% 1000, (n + 2) %% 1000, (n + 3) %% 1000]
    FROM generate_series(1, %(pictures)s) n""",
    """INSERT INTO jobs_taggingjob (asset_id, asset_version_id, generation, purpose, bulk, model_label,
    blob_key, sha256, media_type, request_id, state, attempts, reason, detail, created_at, published_at,
    closed_at)
    SELECT id, id, 1, 'live', true, 'champion', repeat('a', 70), repeat('a', 64), 'image/jpeg', '',
        CASE state WHEN 'pending' THEN 'published' WHEN 'tagged' THEN 'done' ELSE 'failed' END, 1, reason, '',
        created_at, created_at, CASE WHEN state <> 'pending' THEN created_at + interval '1 minute' END
    FROM assets_asset ORDER BY id""",
    """INSERT INTO tagging_prediction (asset_id, asset_version_id, model_version_id, generation, purpose,
    tag_ids, scores, created_at)
    SELECT id, id, 1, 1, 'live', ARRAY(SELECT 1 + (id + k) %% 1000 FROM generate_series(0, 19) k),
        ARRAY(SELECT 0.99 - 0.04 * k - 0.03 * (id %% 7) / 7 FROM generate_series(0, 19) k),
        created_at + interval '1 minute'
    FROM assets_asset WHERE state = 'tagged' ORDER BY id""",
    """INSERT INTO tagging_claim (asset_id, tag_id, state, source, score, threshold, model_version_id)
    SELECT id, 1 + (id + k) %% 1000, 'suggested', 'model', 0.9 - 0.04 * k, 0.3, 1
    FROM assets_asset CROSS JOIN generate_series(0, 3) k WHERE state = 'tagged'""",
    """INSERT INTO tagging_decision (asset_id, tag_id, verdict, decided_by_id, decided_at, model_version_id)
    SELECT asset_id, 1 + asset_id %% 1000, CASE WHEN id %% 5 = 0 THEN 'rejected' ELSE 'accepted' END, 1,
        now() - interval '1 day' * (id %% 80), 1
    FROM tagging_prediction WHERE id %% 40 = 0 ORDER BY id LIMIT %(reviews)s""",
    "VACUUM ANALYZE",
)
# As if an import had come: so many more wait in the job table.
_IMPORT = (
    """UPDATE assets_asset SET state = 'pending' WHERE id IN (
        SELECT id FROM assets_asset WHERE state = 'tagged' ORDER BY id LIMIT %(pending)s)""",
    """UPDATE jobs_taggingjob SET state = 'queued', closed_at = NULL WHERE asset_id IN (
        SELECT id FROM assets_asset WHERE state = 'pending' ORDER BY id LIMIT %(pending)s)""",
    "VACUUM ANALYZE",
)


def _run(statements: tuple[str, ...]) -> None:
    facts = {"pictures": PICTURES, "open": OPEN, "reviews": REVIEWS, "pending": PENDING_IMPORT}
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, facts)


def _times(reads: dict[str, Callable[[], object]]) -> None:
    for name, read in reads.items():
        spent = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            read()
            spent.append(time.perf_counter() - began)
        print(f"{name:22} {statistics.median(spent) * 1000:9,.0f} ms", flush=True)


def main() -> None:
    with catalogue():
        # Models can be imported only once Django knows its settings.
        from dam.monitoring.drift import drift_read  # noqa: PLC0415
        from dam.monitoring.places import database_read  # noqa: PLC0415
        from dam.monitoring.quality import quality_read  # noqa: PLC0415
        from dam.monitoring.recent import failed_jobs_newest, throughput_read  # noqa: PLC0415
        from dam.monitoring.state import state_read, sums_read  # noqa: PLC0415

        began = time.perf_counter()
        _run(_FILL)
        print(f"{PICTURES:,} pictures, {OPEN:,} of them pending, made in {time.perf_counter() - began:.0f} s")
        _times(
            {
                "state": state_read,
                "database": database_read,
                "newest failures": failed_jobs_newest,
                "throughput": throughput_read,
                "ledger and all jobs": sums_read,
                "quality": quality_read,
                "drift": drift_read,
            }
        )
        _run(_IMPORT)
        print(f"\nwith {PENDING_IMPORT:,} pictures of an import waiting")
        _times({"state": state_read, "ledger and all jobs": sums_read})
