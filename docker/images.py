"""Build Vitrine's images and look at them, as ``make images`` does: ``python docker/images.py [NAME…]``.

Says what each image adds to its base, whether that keeps within its limit, and how long every process takes
until it answers. The base is ``BASE_IMAGE`` (better with its digest), else the official one, else, where no
registry can be reached, a stand-in that ``docker/base/make`` makes.

Environment: BASE_IMAGE, VITRINE_REGISTRY (before the names, with its slash), VITRINE_SOURCE (a label),
DOCKER (the client).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import STAND_IN_BASE, Engine, EngineError, find_base, find_engine
from starting import PROCESSES, seconds_to_answer

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
_MB = 1_000_000

# What each may add to its base, in MB; TensorFlow alone is over 1,000.
LIMITS: Mapping[str, int | None] = {"catalogue": 400, "worker": 330, "training": None}


@dataclass(frozen=True)
class Image:
    """An image that was built: sizes in bytes, unpacked."""

    name: str
    reference: str
    whole: int
    over_base: int
    build_s: float

    @property
    def is_too_large(self) -> bool:
        """Whether it adds more to its base than its limit allows."""
        limit = LIMITS[self.name]
        return limit is not None and self.over_base > limit * _MB


def main() -> int:
    """Returns 1 if an image is too large, 69 if there is nothing to build with, else 0."""
    parser = argparse.ArgumentParser(description="Build Vitrine's images.")
    parser.add_argument("names", nargs="*", choices=[*LIMITS, []], metavar="NAME", help=", ".join(LIMITS))
    parser.add_argument("--short", action="store_true", help="do not start what was built")
    parser.add_argument("--json", action="store_true", help="what was built, as JSON on standard output")
    asked = parser.parse_args()
    try:
        engine = find_engine()
        base = find_base(engine, os.environ.get("BASE_IMAGE", ""))
        _say(f"Base: {base}{' (a stand-in, not for publishing)' if base == STAND_IN_BASE else ''}")
        built = [_build(engine, base, name) for name in asked.names or LIMITS]
        _print_sizes(built)
        if asked.json:
            _print_json(engine, base, built)
        if not asked.short:
            _print_starts(engine, built)
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
        return os.EX_UNAVAILABLE
    for image in built:
        if image.is_too_large:
            sys.stderr.write(f"error: {image.reference} adds more than {LIMITS[image.name]} MB to its base\n")
    return int(any(image.is_too_large for image in built))


def _build(engine: Engine, base: str, name: str) -> Image:
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    reference = f"{os.environ.get('VITRINE_REGISTRY', '')}vitrine/{name}:{version}"
    arguments = {
        "BASE_IMAGE": base,
        "VERSION": version,
        "REVISION": _git("rev-parse", "HEAD") or "unknown",
        # Of the commit, not of the build: the same sources make the same labels.
        "CREATED": _git("show", "--no-patch", "--format=%cI", "HEAD") or _now(),
        "VITRINE_SOURCE": os.environ.get("VITRINE_SOURCE", ""),
    }
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    _say(f"Building {reference}")
    began = time.monotonic()
    file = str(_HERE / f"{name}.Dockerfile")
    done = engine.run("build", "--file", file, "--tag", reference, *words, str(_ROOT), loud=True)
    if done.returncode != 0:
        raise EngineError(f"{reference} could not be built")
    took = time.monotonic() - began
    whole = engine.size(reference)
    return Image(name, reference, whole, whole - engine.size(base), took)


def _git(*words: str) -> str:
    """What git says; empty where there is none, or no history, as in an archive of the sources."""
    try:
        done = subprocess.run(["git", "-C", str(_ROOT), *words], check=False, text=True, capture_output=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _print_sizes(built: Sequence[Image]) -> None:
    rows = [("image", "over base", "limit", "whole", "built in")]
    for image in built:
        limit = LIMITS[image.name]
        rows.append(
            (
                image.reference,
                f"{image.over_base / _MB:,.0f} MB",
                f"{limit} MB" if limit else "",
                f"{image.whole / _MB:,.0f} MB",
                f"{image.build_s:.0f} s",
            )
        )
    _table(rows)


def _print_json(engine: Engine, base: str, built: Sequence[Image]) -> None:
    images = {
        image.name: {
            "reference": image.reference,
            "over_base": image.over_base,
            "limit_mb": LIMITS[image.name],
        }
        for image in built
    }
    sys.stdout.write(json.dumps({"client": engine.client, "base": base, "images": images}) + "\n")


def _print_starts(engine: Engine, built: Sequence[Image]) -> None:
    references = {image.name: image.reference for image in built}
    rows = [("process", "image", "answers after")]
    for process in PROCESSES:
        if process.image in references:
            seconds = seconds_to_answer(engine, references[process.image], process)
            rows.append((process.name, references[process.image], f"{seconds:.1f} s"))
    _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    _say("")
    for row in rows:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        _say("  ".join((first, *others)).rstrip())
    _say("")


def _say(line: str) -> None:
    # Beside what docker build says of itself; standard output is the answer's.
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
