"""Whether a new run may take the champion's place, as far as labelled pictures tell: before any of it serves.

Both answer for the pictures that the run held out, and the difference of their mean average precisions is
bootstrapped, paired. The gate closes only where the run is *surely* worse (95 %): few pictures prove nothing,
so whoever has few should look at the shadow's comparison before a promotion, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.datasets.errors import DataError
from model_training.datasets.pictures import Seen, look
from model_training.datasets.pixels import open_pixels
from model_training.datasets.prepared import Prepared, PreparedExample
from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, Matrix, Predictions, load_predictions
from model_training.evaluation.bootstrap import Interval, Resampling, ends, paired_difference
from model_training.evaluation.held_out import check_fits
from model_training.evaluation.measures import mean_average_precision
from model_training.evaluation.rivals import Rival
from model_training.evaluation.run import FOLDER
from model_training.evaluation.tables import Table, number, spread
from model_training.training.run_folder import write_json

FILE = "gate.json"
_BATCH = 32
_WORST = 10


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of a run."""

    most_lost: float = 0.02
    """It fails if its mAP is surely lower than the rival's by more than this."""
    min_map: float | None = None
    """It fails if its own mAP, over all of its labels, is lower than this."""
    resamples: int = 1000


@dataclass(frozen=True, slots=True)
class LabelGain:
    """One label that both know: average precisions, and their difference with its 95 % interval."""

    label: str
    positives: int
    rival: float
    ours: float
    gain: Interval


@dataclass(frozen=True, slots=True)
class Duel:
    """Both on the same pictures, over the labels that both know and that can be measured there."""

    rival: str
    pictures: int
    left_out: int
    """Held-out pictures that the rival learned from, and their near duplicates."""
    theirs: float
    ours: float
    gain: Interval
    labels: tuple[LabelGain, ...]
    """From the greatest loss to the greatest gain."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended. ``own_map``: over all labels of the run that can be measured; None: there are none."""

    run: str
    rules: Rules
    own_map: float | None
    duel: Duel | None
    """None: there was nobody to compare with."""
    reasons: tuple[str, ...]
    """Why it does not pass."""

    @property
    def passes(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """The contents of ``gate.json``."""
        return {"passes": self.passes, **asdict(self)}


def judge(run: Path, prepared: Prepared, rival: Rival | None, rules: Rules, console: Console) -> Verdict:
    """Compare an evaluated run with a rival and write ``gate.json`` into the run's folder.

    Args:
        run: Folder of the run.
        prepared: The data that it was trained on.
        rival: Who serves now; None: nobody does. Whoever was taught the answers is no measure, so the
            pictures that it learned from, as far as it says, and their near duplicates are left out.
        rules: What is asked.
        console: For progress.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: it is no run, or one that was not trained to the end.
        DataError: it was not evaluated, or on other data; or there is nothing to compare on.
    """
    facts = check_fits(run, prepared, held_out=False)
    path = run / FOLDER / "predictions.npz"
    if not path.is_file():
        raise DataError(f"{run} was not evaluated: {path} is missing")
    predictions = load_predictions(path)
    answers = predictions.answers
    own = float(mean_average_precision(answers)(answers, np.ones((1, len(answers))))[0])
    own_map = own if np.isfinite(own) else None
    duel = None
    if rival is not None:
        resampling = Resampling(predictions.pictures.groups, rules.resamples, facts.config.data.split.seed)
        kept = _unknown_to(rival, predictions)
        sha256s = [one for one, unknown in zip(predictions.pictures.sha256, kept, strict=True) if unknown]
        scores = _answered(rival, prepared, sha256s, console)
        duel = _duel(rival, scores, answers.at(kept), resampling.at(kept), left_out=int((~kept).sum()))
    verdict = Verdict(str(run), rules, own_map, duel, tuple(_reasons(own_map, duel, rules)))
    write_json(run / FILE, verdict.as_dict())
    return verdict


def _reasons(own_map: float | None, duel: Duel | None, rules: Rules) -> list[str]:
    reasons = []
    if duel is not None and duel.gain.high < -rules.most_lost:
        reasons.append(
            f"its mAP is surely lower than that of {duel.rival} by more than {rules.most_lost:g}: "
            f"{duel.gain.value:+.3f} (95 %: {duel.gain.low:+.3f} … {duel.gain.high:+.3f})"
        )
    if rules.min_map is not None and (own_map is None or own_map < rules.min_map):
        reasons.append(f"its own mAP is {number(own_map)}, and {rules.min_map:g} is asked for")
    return reasons


# ------------------------------------------------------------------ the two on the same pictures


def _unknown_to(rival: Rival, predictions: Predictions) -> NDArray[np.bool_]:
    """The pictures of which it learned neither from themselves nor from a near duplicate."""
    groups = predictions.pictures.groups
    seen = np.array([sha256 in rival.learned for sha256 in predictions.pictures.sha256], bool)
    unknown: NDArray[np.bool_] = ~np.isin(groups, groups[seen])
    if not unknown.any():
        raise DataError(
            f"{rival.name} learned from every picture that this run holds out: there is nothing to compare on"
        )
    return unknown


def _duel(rival: Rival, scores: Matrix, answers: Answers, resampling: Resampling, *, left_out: int) -> Duel:
    common = [label for label in answers.labels if label in rival.labels]
    ours = _of_labels(answers, common)
    theirs = replace(ours, scores=scores[:, [rival.labels.index(label) for label in common]])
    measurable = metrics.measurable(ours)
    if not measurable.any():
        raise DataError(
            f"{rival.name} knows {len(common)} of the run's {len(answers.labels)} labels, and none of them "
            f"can be measured on {len(ours)} pictures: compare with another version, or with nobody"
        )
    measure = mean_average_precision(ours)
    once = np.ones((1, len(ours)))
    return Duel(
        rival=rival.name,
        pictures=len(ours),
        left_out=left_out,
        theirs=float(measure(theirs, once)[0]),
        ours=float(measure(ours, once)[0]),
        gain=paired_difference(measure, theirs, ours, resampling),
        labels=_labels(theirs, ours, measurable, resampling),
    )


def _of_labels(answers: Answers, labels: Sequence[str]) -> Answers:
    places = [answers.labels.index(label) for label in labels]
    return Answers(
        tuple(labels), answers.targets[:, places], answers.known[:, places], answers.scores[:, places]
    )


def _labels(
    theirs: Answers, ours: Answers, measurable: NDArray[np.bool_], resampling: Resampling
) -> tuple[LabelGain, ...]:
    def difference(_: Answers, weights: Matrix) -> Matrix:
        return metrics.average_precisions(ours, weights) - metrics.average_precisions(theirs, weights)

    their_aps, our_aps = metrics.average_precisions(theirs), metrics.average_precisions(ours)
    gains = our_aps - their_aps
    low, high = ends(resampling.distribution(difference, ours), gains)
    found = [
        LabelGain(
            label=ours.labels[place],
            positives=int(ours.positive[:, place].sum()),
            rival=float(their_aps[place]),
            ours=float(our_aps[place]),
            gain=Interval(float(gains[place]), float(low[place]), float(high[place])),
        )
        for place in np.flatnonzero(measurable)
    ]
    return tuple(sorted(found, key=lambda each: each.gain.value))


def _answered(rival: Rival, prepared: Prepared, sha256s: Sequence[str], console: Console) -> Matrix:
    """The rival's scores for some of the pictures: ``[pictures, labels of the rival]``."""
    place = {example.sha256: row for row, example in enumerate(prepared.examples)}
    missing = [sha256 for sha256 in sha256s if sha256 not in place]
    if missing:
        raise DataError(f"{prepared.folder} has no picture {missing[0][:12]} that the run was measured on")
    rows = np.array([place[sha256] for sha256 in sha256s])
    ready = open_pixels(prepared.folder, rival.preprocess, [each.sha256 for each in prepared.examples])
    parts = np.split(rows, np.arange(_BATCH, len(rows), _BATCH))
    answered = []
    for some in track(parts, f"Answers of {rival.name}", console=console):
        # What it prepares in another way is looked at only here, so that is not kept.
        pixels = _looked_at(prepared, some, rival) if ready is None else np.asarray(ready[some])
        answered.append(rival.answer(pixels))
    return np.concatenate(answered)


def _looked_at(prepared: Prepared, rows: NDArray[np.intp], rival: Rival) -> NDArray[np.uint8]:
    examples: list[PreparedExample] = [prepared.examples[row] for row in rows.tolist()]
    pixels = []
    for example, seen in zip(examples, look([each.path for each in examples], rival.preprocess), strict=True):
        if not isinstance(seen, Seen) or seen.sha256 != example.sha256:
            raise DataError(f"{example.path} is not what it was when it was prepared; prepare again")
        pixels.append(seen.pixels)
    return np.stack(pixels)


# ------------------------------------------------------------------ for people


def tables(verdict: Verdict) -> list[Table]:
    """What was found, for the terminal."""
    duel = verdict.duel
    if duel is None:
        return []
    note = "Over the labels that both know. The difference is paired."
    if duel.left_out:
        note += f" {duel.left_out} pictures left out: {duel.rival} learned from them."
    single = [
        (
            each.label,
            str(each.positives),
            number(each.rival),
            number(each.ours),
            f"{each.gain.value:+.3f}",
            spread(asdict(each.gain)),
        )
        for each in duel.labels[:_WORST]
    ]
    return [
        Table(
            "Mean average precision on the pictures that the run held out",
            note,
            ("", "pictures", "labels", duel.rival, "this run", "difference", "95 %"),
            (
                (
                    "all",
                    str(duel.pictures),
                    str(len(duel.labels)),
                    number(duel.theirs),
                    number(duel.ours),
                    f"{duel.gain.value:+.3f}",
                    spread(asdict(duel.gain)),
                ),
            ),
        ),
        Table(
            "Average precision by label",
            "" if len(single) == len(duel.labels) else f"The {_WORST} that lost most.",
            ("label", "with it", duel.rival, "this run", "difference", "95 %"),
            tuple(single),
        ),
    ]
