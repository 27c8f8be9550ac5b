"""From a configuration to a folder of prepared data."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model_training.config import Config, Split
from model_training.datasets.check import Survey, check, check_present, survey
from model_training.datasets.duplicates import closest_across, near_duplicate_groups
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet, Example, targets_of
from model_training.datasets.pictures import Skipped
from model_training.datasets.pixels import PixelWriter, drop_others
from model_training.datasets.prepared import (
    FILE,
    SPLITS,
    Prepared,
    PreparedExample,
    StoredDataSet,
    StoredExample,
    StoredSkipped,
    load_prepared,
)
from model_training.datasets.report import Leaks, as_markdown, report_of
from model_training.datasets.sources import read_sources
from model_training.datasets.splits import stratified_parts
from model_training.export import square_squash


def prepare(config: Config, to: Path, console: Console) -> Prepared:
    """Read, check, split and describe the data, and write it with its pixels.

    Near duplicates are never on two sides of a split. The same data and configuration give the same splits.

    Args:
        config: Says where the data comes from.
        to: Folder; made if it is not there. What an earlier call left is replaced.
        console: For the progress bar and a summary.

    Raises:
        DataError: something is wrong with the data; the text says what to do.
    """
    data = _read(config)
    spec = square_squash(config.input.size)
    with PixelWriter(to, spec) as writer:
        found = survey(data, config.data, spec, console, writer.append)
        check(found, data, config.data)
        prepared, leaks = _arranged(config, data, found, to)
        sha256s = [example.sha256 for example in prepared.examples]
        writer.finish(sha256s)
    drop_others(to, sha256s)
    report = report_of(prepared, leaks, len(found.skipped))
    _replace(to / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    _replace(to / "report.md", as_markdown(report))
    _replace(to / FILE, _stored(prepared, found.skipped).model_dump_json(indent=1) + "\n")
    _summarise(prepared, found, report["warnings"], console)
    return load_prepared(to)


def try_prepare(config: Config, console: Console) -> dict[str, Any]:
    """The same without writing anything: looks at every picture and says what would be learned from.

    Returns:
        What ``report.json`` would hold.

    Raises:
        DataError: as :func:`prepare`.
    """
    data = _read(config)
    found = survey(data, config.data, square_squash(config.input.size), console, lambda _pixels: None)
    check(found, data, config.data)
    prepared, leaks = _arranged(config, data, found, Path())
    report = report_of(prepared, leaks, len(found.skipped))
    _summarise(prepared, found, report["warnings"], console)
    return report


def _read(config: Config) -> DataSet:
    split = config.data.split
    if split.validation + split.test >= 1:
        raise DataError("data.split.validation and data.split.test leave nothing to learn from: lower them")
    data = read_sources(config.data)
    check_present(data.examples)
    return data


# ------------------------------------------------------------------ splitting and writing


def _arranged(config: Config, data: DataSet, found: Survey, to: Path) -> tuple[Prepared, Leaks]:
    hashes = np.array([seen.hash for seen in found.seen], np.uint64)
    groups = near_duplicate_groups(hashes, config.data.split.near_duplicate_bits)
    parts = _parts(data.labels, found.examples, groups, config.data.split)
    examples = tuple(
        PreparedExample(
            path=example.path,
            sha256=seen.sha256,
            source=example.source,
            positive=tuple(sorted(example.positive)),
            negative=tuple(sorted(example.negative)),
            group=group,
            split=SPLITS[part],
            width=seen.width,
            height=seen.height,
            brightness=seen.brightness,
        )
        for example, seen, group, part in zip(
            found.examples, found.seen, groups.tolist(), parts.tolist(), strict=True
        )
    )
    closest = closest_across(hashes, parts)
    leaks = Leaks(
        identical=found.identical,
        contradictions=tuple(found.contradictions),
        closest=None
        if closest is None
        else (closest[0], examples[closest[1]].path, examples[closest[2]].path),
    )
    prepared = Prepared(to, config.name, _data_hash(data.labels, examples), data.labels, data.names, examples)
    return prepared, leaks


def _parts(
    labels: Sequence[str], examples: Sequence[Example], groups: NDArray[np.intp], split: Split
) -> NDArray[np.intp]:
    """Spreads the sources evenly too, so that each can be measured by itself."""
    targets, _ = targets_of(examples, labels)
    sources = sorted({example.source for example in examples})
    of_source = np.array([[example.source == source for source in sources] for example in examples])
    shares = (1 - split.validation - split.test, split.validation, split.test)
    spread = np.hstack([targets, of_source.astype(np.float32)])
    return stratified_parts(spread, groups, shares, split.seed)


def _data_hash(labels: Sequence[str], examples: Sequence[PreparedExample]) -> str:
    contents = [
        list(labels),
        [[each.sha256, each.source, each.positive, each.negative, each.split] for each in examples],
    ]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def _stored(prepared: Prepared, skipped: Sequence[Skipped]) -> StoredDataSet:
    home = prepared.folder.resolve()
    return StoredDataSet(
        name=prepared.name,
        data_hash=prepared.data_hash,
        labels=list(prepared.labels),
        names=prepared.names,
        examples=[
            StoredExample(
                path=os.path.relpath(each.path.resolve(), home),
                sha256=each.sha256,
                source=each.source,
                positive=list(each.positive),
                negative=list(each.negative),
                group=each.group,
                split=each.split,
                width=each.width,
                height=each.height,
                brightness=each.brightness,
            )
            for each in prepared.examples
        ],
        skipped=[
            StoredSkipped(path=os.path.relpath(each.path.resolve(), home), reason=each.reason)
            for each in skipped
        ],
    )


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _summarise(prepared: Prepared, found: Survey, warnings: Sequence[str], console: Console) -> None:
    counts = ", ".join(f"{len(prepared.rows(split)):,} {split}" for split in SPLITS)
    console.print(
        f"{len(prepared.examples):,} pictures ({counts}), {len(prepared.labels)} labels, "
        f"data {prepared.data_hash[:12]}",
        highlight=False,
        soft_wrap=True,
    )
    for each in found.skipped:
        console.print(f"skipped {each.path}: {each.reason}", highlight=False, markup=False, soft_wrap=True)
    for warning in warnings:
        console.print(f"warning: {warning}", highlight=False, markup=False, soft_wrap=True)
