"""The statements of ``recording``: each takes a whole batch, as rows for COPY or JSON."""

from __future__ import annotations

from collections.abc import Mapping

# As binary COPY is to send them: arrays and the vector in their own binary forms.
PREDICTION_COLUMNS: Mapping[str, str] = {
    "asset_id": "int8",
    "asset_version_id": "int8",
    "model_version_id": "int8",
    "generation": "int4",
    "purpose": "varchar",
    "tag_ids": "bytea",
    "scores": "bytea",
    "embedding": "bytea",
    "predict_ms": "float8",
    "created_at": "timestamptz",
}

# Locks, in the order in which everybody takes them, after that of the model versions.
LOCK_OPEN_JOBS = """
SELECT id, generation, sha256, purpose, asset_id, asset_version_id, bulk, created_at FROM jobs_taggingjob
WHERE id = ANY(%s) AND state IN ('queued', 'published')
ORDER BY id FOR NO KEY UPDATE
"""
LOCK_ASSETS = """
SELECT id, current_version_id, state = 'pending' FROM assets_asset WHERE id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE
"""
# A statement of its own, after the lock: jobs are issued under it, so none is overlooked.
NEWEST_GENERATIONS = """
SELECT asset_id, max(generation) FROM jobs_taggingjob
WHERE asset_id = ANY(%s) AND purpose IN ('live', 'campaign')
GROUP BY asset_id
"""

CLOSE_JOBS = """
UPDATE jobs_taggingjob AS job SET
    state = closed.state, reason = closed.reason, detail = closed.detail, answer = closed.answer,
    closed_at = %s
FROM json_to_recordset(%s) AS closed (id bigint, state text, reason text, detail text, answer jsonb)
WHERE job.id = closed.id
"""

# One that is queued already is asked again anyway.
LEAVE_OPEN = """
UPDATE jobs_taggingjob SET reason = 'withdrawn' WHERE id = ANY(%s) AND state = 'published'
"""

# One that has tags, of whatever model, keeps them: the failure is that of a later attempt. Those of a version
# that was withdrawn count until they are derived again.
FAIL_ASSETS = """
UPDATE assets_asset AS asset SET
    state = 'failed', reason = failed.reason, detail = failed.detail, colours = '{}', updated_at = %s
FROM json_to_recordset(%s) AS failed (id bigint, reason text, detail text)
WHERE asset.id = failed.id AND NOT EXISTS (
    SELECT FROM tagging_prediction AS prediction
    JOIN tagging_modelversion AS model ON model.id = prediction.model_version_id
    WHERE prediction.asset_id = asset.id AND prediction.asset_version_id = asset.current_version_id
    AND prediction.purpose IN ('live', 'campaign')
    AND (model.withdrawn_at IS NULL OR model.followed_to < asset.id))
"""

TAG_ASSETS = """
UPDATE assets_asset AS asset SET
    state = 'tagged', reason = '', detail = '', updated_at = %s, tag_ids = tagged.tag_ids,
    width = coalesce(tagged.width, asset.width), height = coalesce(tagged.height, asset.height),
    colours = coalesce(tagged.colours, asset.colours)
FROM json_to_recordset(%s) AS tagged (id bigint, tag_ids int[], width int, height int, colours varchar(10)[])
WHERE asset.id = tagged.id
"""

KEEP_RENDITIONS = """
UPDATE assets_assetversion AS version SET renditions = made.renditions, placeholder = made.placeholder
FROM json_to_recordset(%s) AS made (id bigint, renditions jsonb, placeholder text)
WHERE version.id = made.id
"""
