"""The chart as it is released: it names this release's images by digest, and lies in a registry."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from places import ReleaseError

IMAGES = ("catalogue", "worker", "training")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True)
class Published:
    """Images that were pushed, as ``docker/publish.py`` wrote it down."""

    registry: str
    digests: dict[str, str]
    """By the image's short name."""


def published(folder: Path, version: str) -> Published:
    """What the files of a folder say together.

    Raises:
        ReleaseError: an image is missing, or they are of several registries, versions or commits.
    """
    told = {}
    for name in IMAGES:
        try:
            told[name] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ReleaseError(
                f"{folder} says nothing of the image {name}: `make publish IMAGE={name}`"
            ) from error
        except ValueError as error:
            raise ReleaseError(f"{folder}/{name}.json cannot be read: {error}") from error
        missing = {"registry", "name", "version", "revision", "digest"} - told[name].keys()
        if missing or not _DIGEST.fullmatch(told[name]["digest"]):
            raise ReleaseError(f"{folder}/{name}.json names no {', '.join(sorted(missing)) or 'digest'}")
        if told[name]["name"] != f"{told[name]['registry']}/vitrine/{name}":
            raise ReleaseError(f"{told[name]['name']} is not where the chart looks: REGISTRY/vitrine/{name}")
    for what in ("registry", "version", "revision"):
        several = sorted({each[what] for each in told.values()})
        if len(several) > 1:
            raise ReleaseError(f"the images are not of one {what}: {', '.join(several)}")
    if told["catalogue"]["version"] != version:
        raise ReleaseError(f"the images are of version {told['catalogue']['version']}, not of {version}")
    return Published(told["catalogue"]["registry"], {name: told[name]["digest"] for name in IMAGES})


def values_of(images: Published) -> str:
    """A values file that names these images, for whoever installs from a checkout."""
    lines = ["images:", f"  registry: {json.dumps(images.registry)}"]
    lines += [f"  {name}: {{digest: {json.dumps(digest)}}}" for name, digest in images.digests.items()]
    return "\n".join(lines) + "\n"


def with_images(values: str, images: Published) -> str:
    """``values.yaml`` of the chart with these images as its defaults, comments and all.

    Raises:
        ReleaseError: it has another form than expected.
    """
    found = re.search(r"^images:\n(?:(?:  .*)?\n)+", values, re.MULTILINE)
    block = found[0] if found else ""
    wanted = [(r'^(  registry: )""$', images.registry)]
    wanted += [
        (rf'(^  {name}:\n(?:    .*\n)*?    digest: )""$', digest) for name, digest in images.digests.items()
    ]
    for pattern, value in wanted:
        block, count = re.subn(pattern, rf"\g<1>{json.dumps(value)}", block, count=1, flags=re.MULTILINE)
        if not count:
            raise ReleaseError(f"values.yaml has no empty default to put {value} in")
    return values.replace(found[0], block) if found else values


def package(helm: str, chart: Path, images: Published, version: str, to: Path) -> Path:
    """Package the chart with these images as its defaults; returns the archive.

    Raises:
        ReleaseError: helm refuses it.
    """
    to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / chart.name
        # The cases are for checks: their digests are of nothing.
        shutil.copytree(chart, copy, ignore=shutil.ignore_patterns("ci"))
        values = copy / "values.yaml"
        values.write_text(with_images(values.read_text(encoding="utf-8"), images), encoding="utf-8")
        _helm(
            helm,
            "package",
            str(copy),
            "--version",
            version,
            "--app-version",
            version,
            "--destination",
            str(to),
        )
    return to / f"vitrine-{version}.tgz"


def push(helm: str, archive: Path, registry: str) -> str:
    """Push a packaged chart; returns ``oci://…/vitrine@sha256:…``.

    Raises:
        ReleaseError: helm or the registry refuses it.
    """
    place = f"{registry.rstrip('/').lower()}/charts"
    # As Docker does: only on this machine itself may a registry go without TLS.
    plain = ("--plain-http",) if _LOOPBACK.match(place) else ()
    said = _helm(helm, "push", str(archive), f"oci://{place}", *plain)
    digest = _DIGEST.search(said)
    if digest is None:
        raise ReleaseError(f"helm pushed {archive.name} and told no digest: {said}")
    return f"oci://{place}/vitrine@{digest[0]}"


def _helm(helm: str, *words: str) -> str:
    command: Sequence[str] = (helm, *words)
    done = subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )
    if done.returncode != 0:
        raise ReleaseError(f"helm {words[0]}: {done.stdout.strip()}")
    return done.stdout
