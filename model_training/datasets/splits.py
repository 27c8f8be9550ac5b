"""Splits and folds that keep groups whole and spread labels evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratified_parts(
    labels: NDArray[np.float32], groups: NDArray[np.intp], shares: Sequence[float], seed: int
) -> NDArray[np.intp]:
    """Which part each example goes to, ``[N]``.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label
    Data", algorithm 1) with groups in place of examples: the rarest label that is left is spread first, each
    of its groups to the part that wants that label most; the largest groups first, because they fit in the
    fewest places. The same arguments give the same parts.

    Args:
        labels: What is to be spread evenly, 0 or 1, ``[N, L]``.
        groups: Number of each example's group, ``[N]``: a group is never divided.
        shares: Of the parts; they sum to 1. A part with share 0 stays empty.
        seed: Decides where parts want something equally.
    """
    random = np.random.default_rng(seed)
    numbers, member_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(numbers), labels.shape[1]))
    np.add.at(counts, member_of, labels)
    sizes = np.bincount(member_of, minlength=len(numbers)).astype(np.float64)

    share = np.asarray(shares, np.float64)
    wanted = np.outer(share, counts.sum(axis=0))  # [parts, labels]
    wanted_size = share * len(labels)
    # Where nothing decides, a random but fixed order does: of the groups here, of the parts below.
    order = random.permutation(len(numbers))
    order = order[np.argsort(-sizes[order], kind="stable")]
    part_of = np.full(len(numbers), -1, np.intp)

    def place(group: int, label: int | None) -> None:
        wants = wanted_size if label is None else wanted[:, label]
        keys = (random.random(len(share)), wanted_size, wants, share > 0)
        part = int(np.lexsort(keys)[-1])
        part_of[group] = part
        wanted[part] -= counts[group]
        wanted_size[part] -= sizes[group]

    left = counts.sum(axis=0)
    while (left > 0).any():
        label = int(np.where(left > 0, left, np.inf).argmin())
        for group in order[(counts[order, label] > 0) & (part_of[order] < 0)].tolist():
            place(group, label)
            left -= counts[group]
        left[label] = 0
    for group in order[part_of[order] < 0].tolist():
        place(group, None)
    return part_of[member_of]


def folds(
    labels: NDArray[np.float32], groups: NDArray[np.intp], number: int, seed: int
) -> list[NDArray[np.intp]]:
    """The examples of each of ``number`` folds of equal size, by position. See :func:`stratified_parts`."""
    parts = stratified_parts(labels, groups, [1 / number] * number, seed)
    return [np.flatnonzero(parts == fold) for fold in range(number)]
