"""What the data is like: how often each label is, which come together, what could leak."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.datasets.prepared import SPLITS, Prepared

_PAIRS = 50


@dataclass(frozen=True, slots=True)
class Leaks:
    """Whatever could make a measure better than it is."""

    identical: int
    """Files with the bytes of another one; they count once."""
    contradictions: tuple[str, ...]
    """Where identical bytes were labelled yes and no: unknown since."""
    closest: tuple[int, Path, Path] | None
    """The most alike pictures of different splits: bits in which their hashes differ. None: one split."""


def report_of(prepared: Prepared, leaks: Leaks, skipped: int) -> dict[str, Any]:
    """All facts, for ``report.json``.

    Args:
        prepared: The data.
        leaks: What was found about it.
        skipped: Pictures that could not be read.
    """
    targets, known = prepared.targets()
    labels = [
        {"label": label, "name": prepared.names[label], **counts}
        for label, counts in zip(prepared.labels, _counts(prepared, targets, known), strict=True)
    ]
    positives = (targets * known).sum(axis=0)
    return {
        "name": prepared.name,
        "data_hash": prepared.data_hash,
        "pictures": {
            "all": len(prepared.examples),
            **{split: len(prepared.rows(split)) for split in SPLITS},
            "skipped": skipped,
        },
        "sources": dict(Counter(example.source for example in prepared.examples)),
        "labels": labels,
        "imbalance": {
            "commonest": int(positives.max()),
            "rarest": int(positives.min()),
            "ratio": round(float(positives.max() / max(positives.min(), 1)), 1),
            "labels_per_picture": round(float(positives.sum() / len(targets)), 2),
            # What a network that always says no is right about: an accuracy means nothing below it.
            "all_negative_accuracy": round(float(1 - positives.sum() / known.sum()), 4),
            "unknown": round(float(1 - known.mean()), 4),
        },
        "co_occurrence": _pairs(prepared.labels, targets, known),
        "leaks": _leaks(prepared, leaks),
        "warnings": _warnings(prepared, labels, leaks),
    }


def _counts(
    prepared: Prepared, targets: NDArray[np.float32], known: NDArray[np.float32]
) -> list[dict[str, dict[str, int]]]:
    """For each label: positives, negatives and unknown, by split."""
    by_split = {split: prepared.rows(split) for split in SPLITS}
    kinds = {"positives": targets * known, "negatives": (1 - targets) * known, "unknown": 1 - known}
    sums = {
        (kind, split): matrix[rows].sum(axis=0).astype(int)
        for kind, matrix in kinds.items()
        for split, rows in by_split.items()
    }
    return [
        {kind: {split: int(sums[kind, split][label]) for split in SPLITS} for kind in kinds}
        for label in range(len(prepared.labels))
    ]


def _pairs(
    labels: tuple[str, ...], targets: NDArray[np.float32], known: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """The labels that come together most often.

    ``lift``: how many times as often as if they came independently, on pictures where both are known.
    """
    together, both_known = targets.T @ targets, known.T @ known
    alone = targets.T @ known  # [one, other]: pictures with the one where the other is known
    ones, others = np.nonzero(np.triu(together, 1))
    order = np.argsort(-together[ones, others], kind="stable")[:_PAIRS]
    return [
        {
            "labels": [labels[one], labels[other]],
            "pictures": int(together[one, other]),
            "lift": round(
                float(
                    together[one, other] * both_known[one, other] / (alone[one, other] * alone[other, one])
                ),
                2,
            ),
        }
        for one, other in zip(ones[order].tolist(), others[order].tolist(), strict=True)
    ]


def _leaks(prepared: Prepared, leaks: Leaks) -> dict[str, Any]:
    sizes = Counter(example.group for example in prepared.examples)
    splits_of: dict[int, set[str]] = {}
    for example in prepared.examples:
        splits_of.setdefault(example.group, set()).add(example.split)
    return {
        "identical_files": leaks.identical,
        "contradictions": list(leaks.contradictions),
        "near_duplicate_groups": sum(size > 1 for size in sizes.values()),
        "near_duplicates": sum(size for size in sizes.values() if size > 1),
        "largest_group": max(sizes.values()),
        "groups_across_splits": sum(len(splits) > 1 for splits in splits_of.values()),
        "closest_across_splits": leaks.closest
        and {"bits": leaks.closest[0], "pictures": [leaks.closest[1].name, leaks.closest[2].name]},
    }


def _warnings(prepared: Prepared, labels: list[dict[str, Any]], leaks: Leaks) -> list[str]:
    used = [split for split in SPLITS if len(prepared.rows(split))]
    found = [f"nothing is in the split {split}" for split in SPLITS if split not in used]
    for split in used:
        for kind, what in (("positives", "a picture with"), ("negatives", "a picture known to be without")):
            lacking = [each["label"] for each in labels if not each[kind][split]]
            if lacking:
                found.append(f"{split} has not {what} {_some(lacking)}")
    if leaks.contradictions:
        found.append(f"{len(leaks.contradictions)} pictures are labelled yes and no; see report.md")
    return found


def _some(labels: list[str]) -> str:
    more = f" and {len(labels) - 10} others" if len(labels) > 10 else ""
    return ", ".join(labels[:10]) + more


def as_markdown(report: dict[str, Any]) -> str:
    """The same for people."""
    pictures, imbalance, leaks = report["pictures"], report["imbalance"], report["leaks"]
    lines = [
        f"# Data of {report['name']}",
        "",
        f"Data hash `{report['data_hash']}`.",
        "",
        *_table(("pictures", "number"), [(name, f"{number:,}") for name, number in pictures.items()]),
        *_table(
            ("source", "pictures"), [(name, f"{number:,}") for name, number in report["sources"].items()]
        ),
        _sentence(imbalance),
        "",
        *(f"- Warning: {warning}.\n" for warning in report["warnings"]),
        "## Labels",
        "",
        *_table(
            ("label", *(f"{split} {kind}" for split in SPLITS for kind in ("+", "-", "?"))),
            [
                (each["name"], *(f"{each[kind][split]:,}" for split in SPLITS for kind in _KINDS))
                for each in report["labels"]
            ],
        ),
        "## Labels that come together",
        "",
        *_table(
            ("labels", "pictures", "lift"),
            [
                (" and ".join(each["labels"]), each["pictures"], each["lift"])
                for each in report["co_occurrence"]
            ],
        ),
        "## Leaks",
        "",
        *_table(
            ("", ""),
            [
                ("files with the bytes of another", leaks["identical_files"]),
                ("groups of near duplicates", leaks["near_duplicate_groups"]),
                ("pictures in them", leaks["near_duplicates"]),
                ("largest group", leaks["largest_group"]),
                ("groups across splits", leaks["groups_across_splits"]),
                ("closest pictures across splits", _closest(leaks["closest_across_splits"])),
            ],
        ),
        *(f"- Labelled yes and no: {each}." for each in leaks["contradictions"]),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


_KINDS = ("positives", "negatives", "unknown")


def _sentence(imbalance: dict[str, Any]) -> str:
    return (
        f"{imbalance['labels_per_picture']} labels a picture; the commonest has {imbalance['ratio']} times "
        f"the pictures of the rarest. {imbalance['unknown']:.1%} of all answers are unknown. Saying no to "
        f"everything is right in {imbalance['all_negative_accuracy']:.1%} of the known ones."
    )


def _closest(found: dict[str, Any] | None) -> str:
    return "none" if found is None else f"{found['bits']} of 64 bits: {' and '.join(found['pictures'])}"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [*("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines), ""]
