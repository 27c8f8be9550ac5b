"""Push one of Vitrine's images to a registry: ``python docker/publish.py NAME --registry HOST/PATH``.

Takes what ``docker/images.py`` built on this machine, or what ``--archive`` holds. ``--save`` writes such a
file: so the machine that builds needs no right to push, and the one that pushes runs nothing. The digest by
which the registry has it is written to ``build/published/NAME.json``, for the chart (docs/releasing.md).

A version never moves: what the registry has under the tag already has to be this very image.

Environment: DOCKER (the client).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tomllib
from pathlib import Path

from engine import STAND_IN_BASE, Engine, EngineError, find_engine

_ROOT = Path(__file__).resolve().parent.parent
_NAMES = ("catalogue", "worker", "training")
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
_LABEL = "org.opencontainers.image."


class PublishError(Exception):
    """What keeps the image from being pushed."""


def main() -> int:
    """Returns 1 if the image may not or cannot be pushed, 69 without an engine, else 0."""
    parser = argparse.ArgumentParser(description="Push one of Vitrine's images.")
    parser.add_argument("name", choices=_NAMES, metavar="NAME", help=", ".join(_NAMES))
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--registry", help="such as ghcr.io/OWNER; capitals become small")
    what.add_argument("--save", type=Path, metavar="FILE", help="push nothing, write the image to this file")
    parser.add_argument(
        "--under", default="vitrine", help="what the repository is called before the last slash"
    )
    parser.add_argument("--archive", type=Path, metavar="FILE", help="take the image out of this file")
    parser.add_argument("--tag", help="left out: Vitrine's version")
    parser.add_argument(
        "--to", type=Path, default=_ROOT / "build" / "published", help="folder of what is told"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to append name=… and digest=… to")
    asked = parser.parse_args()
    try:
        engine = find_engine()
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
        return os.EX_UNAVAILABLE
    try:
        if asked.save:
            _save(engine, asked.name, asked.save)
        else:
            _publish(engine, asked)
    except (PublishError, EngineError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _save(engine: Engine, name: str, file: Path) -> None:
    built = _built(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    engine.said("save", "--output", str(file), built)
    sys.stdout.write(f"{built} is in {file}\n")


def _publish(engine: Engine, asked: argparse.Namespace) -> None:
    built = _built(asked.name)
    if asked.archive:
        engine.said("load", "--input", str(asked.archive))
    labels = _labels(engine, built)
    registry = asked.registry.rstrip("/").lower()
    if labels.get(f"{_LABEL}base.name") == STAND_IN_BASE and not _LOOPBACK.match(registry):
        raise PublishError(f"{built} stands on {STAND_IN_BASE}, which is not for publishing: name BASE_IMAGE")
    name = f"{registry}/{asked.under}/{asked.name}"
    tagged = f"{name}:{asked.tag or _version()}"
    engine.said("tag", built, tagged)
    digest = _pushed(engine, name, tagged)
    asked.to.mkdir(parents=True, exist_ok=True)
    told = {
        "image": asked.name,
        "registry": registry,
        "name": name,
        "version": labels.get(f"{_LABEL}version", ""),
        "revision": labels.get(f"{_LABEL}revision", ""),
        "digest": digest,
    }
    (asked.to / f"{asked.name}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if asked.output:
        with asked.output.open("a", encoding="utf-8") as file:
            file.write(f"name={name}\ndigest={digest}\n")
    sys.stdout.write(f"{name}@{digest}\n")


def _pushed(engine: Engine, name: str, tagged: str) -> str:
    """Push it where the registry has nothing else under that tag; returns the digest.

    Raises:
        PublishError: the registry has another image under it, or not what was pushed.
    """
    # The digest of its configuration; of its manifest, where containerd keeps the images.
    identity = engine.said("image", "inspect", "--format", "{{.Id}}", tagged)
    there = _identities(engine, tagged)
    if there and identity not in there:
        raise PublishError(f"{tagged} is published already and is another image: a tag never moves")
    # Also where it is there: nothing is sent twice, and only so the client learns the digest.
    engine.said("push", tagged)
    known = engine.said("image", "inspect", "--format", "{{json .RepoDigests}}", tagged)
    digests = [each.partition("@")[2] for each in json.loads(known) if each.startswith(f"{name}@")]
    for digest in digests:
        if identity == digest or identity in _identities(engine, f"{name}@{digest}"):
            return digest
    raise PublishError(f"the registry has {tagged} by no digest that is this image: {known}")


def _identities(engine: Engine, reference: str) -> set[str]:
    """Digests of manifest and configuration of what a registry has; none if it has no such image."""
    insecure = ("--insecure",) if _LOOPBACK.match(reference) else ()
    done = engine.run("manifest", "inspect", "--verbose", *insecure, reference)
    if done.returncode != 0:
        if re.search(r"no such manifest|manifest unknown|not found|name unknown", done.stdout, re.IGNORECASE):
            return set()
        raise PublishError(f"{reference}: the registry does not say what it has: {done.stdout.strip()}")
    told = json.loads(done.stdout)
    found = set()
    for each in told if isinstance(told, list) else [told]:
        manifest = each.get("SchemaV2Manifest") or each.get("OCIManifest") or {}
        found |= {each["Descriptor"]["digest"], manifest.get("config", {}).get("digest", "")}
    return found


def _labels(engine: Engine, image: str) -> dict[str, str]:
    labels = json.loads(engine.said("image", "inspect", "--format", "{{json .Config.Labels}}", image)) or {}
    if labels.get(f"{_LABEL}version") != _version():
        raise PublishError(f"{image} says it is version {labels.get(f'{_LABEL}version')}, not {_version()}")
    return {str(key): str(value) for key, value in labels.items()}


def _built(name: str) -> str:
    return f"{os.environ.get('VITRINE_REGISTRY', '')}vitrine/{name}:{_version()}"


def _version() -> str:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


if __name__ == "__main__":
    sys.exit(main())
