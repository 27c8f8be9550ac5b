"""The proof at the end of a run: nothing lost, nothing twice, every bad picture with its reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from pipeline.messages import FailureReason
from tests.faults.mixed_pictures import Files
from tests.faults.scene import PartImport, Scene
from tests.plugins.plant import Plant

_TWICE = {
    "asset of the same bytes": "SELECT current_version_id FROM assets_asset GROUP BY 1 HAVING count(*) > 1",
    "version of the same bytes": "SELECT blob_id FROM assets_assetversion GROUP BY 1 HAVING count(*) > 1",
    "asset of the same file": "SELECT filename FROM assets_asset GROUP BY 1 HAVING count(*) > 1",
    "prediction": "SELECT asset_id FROM tagging_prediction GROUP BY 1 HAVING count(*) > 1",
    "claim": "SELECT asset_id, tag_id FROM tagging_claim GROUP BY 1, 2 HAVING count(*) > 1",
    "job": "SELECT asset_id FROM jobs_taggingjob GROUP BY 1 HAVING count(*) > 1",
}


def complaints(scene: Scene, files: Files) -> list[str]:
    """Everything that is not as it was promised; empty: the proof holds."""
    plant = scene.plant
    found = [*scene.complaints, *_of_assets(plant, files), *_of_imports(scene.imports, files)]
    for what, query in _TWICE.items():
        if twice := plant.rows(query):
            found.append(f"{len(twice)} times more than one {what}: {twice[:5]}")
    found += _of_ledger(plant, files)
    found += _of_store(plant)
    found += _of_reconcile(plant)
    if full := plant.queues_with_messages():
        found.append(f"queues that hold something: {full}")
    if letters := plant.rows("SELECT queue, reason, job_id FROM jobs_deadletter"):
        found.append(f"{len(letters)} dead letters: {letters[:5]}")
    for name, codes in plant.keeper.unmeant_exits().items():
        found.append(f"{name} ended by itself with {codes}")
    return found


def facts(plant: Plant) -> dict[str, Any]:
    """What is allowed and worth knowing: work that was done again, memory."""
    repeated = re.findall(r" (?:ignored|superseded)=(\d+)", plant.writer.said())
    return {
        "answers that came twice": sum(map(int, repeated)),
        "worker peak memory, MB": [round(worker.peak_memory() / 1e6) for worker in plant.workers],
    }


def _of_assets(plant: Plant, files: Files) -> list[str]:
    rows = plant.rows("SELECT filename, state, reason FROM assets_asset")
    states = {name: (state, reason) for name, state, reason in rows}
    expected = dict.fromkeys(files.good, ("tagged", ""))
    expected |= dict.fromkeys(files.bad, ("failed", FailureReason.CORRUPT.value))
    found = []
    if lost := sorted(expected.keys() - states.keys()):
        found.append(f"lost: {len(lost)} files are no asset: {lost[:5]}")
    if extra := sorted(states.keys() - expected.keys()):
        found.append(f"assets of files that had to be refused: {extra[:5]}")
    wrong = {name: state for name, state in states.items() if name in expected and state != expected[name]}
    if wrong:
        kinds = Counter((name in files.bad, state) for name, state in wrong.items())
        found.append(f"{len(wrong)} assets in a wrong state (bad?, state): {kinds}: {sorted(wrong)[:5]}")
    return found


def _of_imports(imports: list[PartImport], files: Files) -> list[str]:
    refused = {
        file["path"].rpartition("/")[2]
        for part in imports
        for file in part.report["files"]
        if file["outcome"] == "refused" and file["reason"] in {"empty", "not-a-picture"}
    }
    return [] if refused == files.refused else [f"refused: {sorted(refused ^ files.refused)}"]


def _of_ledger(plant: Plant, files: Files) -> list[str]:
    ledger = plant.ledger()
    expected = {
        "assets": len(files.good) + len(files.bad),
        "tagged": len(files.good),
        "pending": 0,
        "failed": len(files.bad),
        "failed_by_reason": {"corrupt": len(files.bad)},
        "agrees": True,
    }
    differs = {name: ledger[name] for name, value in expected.items() if ledger[name] != value}
    open_jobs = {state: ledger["jobs"][state] for state in ("queued", "published") if ledger["jobs"][state]}
    return [f"the ledger says {differs | open_jobs}: {ledger}"] if differs or open_jobs else []


def _of_store(plant: Plant) -> list[str]:
    """Every original and every rendition that the catalogue names is in the store."""
    named = {key for (key,) in plant.rows("SELECT key FROM assets_blob")}
    renditions = plant.rows(
        "SELECT jsonb_path_query(renditions, '$.*.key') #>> '{}' FROM assets_assetversion"
    )
    named |= {key for (key,) in renditions}
    stored = plant.stored_keys()
    missing = sorted(key for key in named if key not in stored)
    found = [f"{len(missing)} files are not in the store: {missing[:5]}"] if missing else []
    without = plant.rows(
        "SELECT a.filename FROM assets_asset a JOIN assets_assetversion v ON v.id = a.current_version_id"
        " WHERE a.state = 'tagged' AND NOT v.renditions ? 'grid'"
    )
    return [*found, f"{len(without)} tagged without renditions"] if without else found


def _of_reconcile(plant: Plant) -> list[str]:
    before = plant.ledger()
    done = json.loads(plant.vitrine("reconcile", "--json").stdout)
    changed = {name: number for name, number in done.items() if number and name != "dry_run"}
    after = plant.ledger()
    found = [f"reconcile changed {changed}"] if changed else []
    return found if before == after else [*found, f"the ledger after reconcile: {after}, before: {before}"]
