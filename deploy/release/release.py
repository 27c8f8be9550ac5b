"""What a release is made with: ``python deploy/release/release.py COMMAND`` (docs/releasing.md).

``version`` writes a new version everywhere, ``check`` says whether a tag may be released, ``notes`` what
changed in it; ``chart`` packages the chart with the digests of the images, ``push-chart`` pushes it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import sys
from pathlib import Path

import changelog
import chart
import places
from places import ReleaseError

ROOT = Path(__file__).resolve().parents[2]
_WORK = ROOT / "build"


def main() -> int:
    """Returns 0, 1 if something speaks against the release (it is said), 64 for wrong use."""
    try:
        asked = _parser().parse_args()
    except SystemExit as end:
        return 0 if not end.code else os.EX_USAGE
    try:
        asked.run(asked)
    except ReleaseError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release.py", description="Make a release.")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("version", _version, "write a new version everywhere, and its section of the changelog"),
        ("check", _check, "say whether everything names this version"),
        ("notes", _notes, "print what changed in a version"),
        ("chart", _chart, "package the chart, with the published images as its defaults"),
        ("push-chart", _push_chart, "push the packaged chart"),
    ):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.add_argument("version", metavar="VERSION", help="1.2.3, or its tag v1.2.3")
        command.set_defaults(run=run)
        if name == "version":
            command.add_argument("--date", type=dt.date.fromisoformat, help="of the release; left out: today")
        if name in {"chart", "push-chart"}:
            command.add_argument(
                "--to", type=Path, default=ROOT / "build" / "release", help="folder of archives"
            )
        if name == "notes":
            command.add_argument("--to", type=Path, metavar="FILE", help="write it to this file, too")
        if name == "chart":
            command.add_argument("--published", type=Path, default=_WORK / "published")
        if name == "push-chart":
            command.add_argument("--registry", required=True, help="such as ghcr.io/OWNER")
            command.add_argument("--output", type=Path, help="file to append chart=ADDRESS to")
    return parser


def _version(asked: argparse.Namespace) -> None:
    version = places.version_of(asked.version)
    now = max((found for _, found in places.written(asked.root)), key=_numbers)
    if _numbers(version) < _numbers(now):
        raise ReleaseError(f"{version} is older than {now}, which is written already")
    # A date that counts everywhere.
    date = asked.date or dt.datetime.now(dt.UTC).date()
    text = changelog.with_release(_read_changelog(asked.root), version, date)
    places.write(asked.root, version)
    (asked.root / "CHANGELOG.md").write_text(text, encoding="utf-8")
    _say(f"Vitrine is {version}. Look at the changes, commit them, and tag the commit v{version}.")


def _check(asked: argparse.Namespace) -> None:
    version = places.version_of(asked.version)
    others = [f"{place} says {found}" for place, found in places.written(asked.root) if found != version]
    if others:
        raise ReleaseError(f"this is not {version} everywhere:\n  " + "\n  ".join(others))
    changelog.notes_of(_read_changelog(asked.root), version)
    _say(f"{version}: in {len(list(places.written(asked.root)))} places and in CHANGELOG.md")


def _notes(asked: argparse.Namespace) -> None:
    text = changelog.notes_of(_read_changelog(asked.root), places.version_of(asked.version))
    if asked.to:
        asked.to.parent.mkdir(parents=True, exist_ok=True)
        asked.to.write_text(f"{text}\n", encoding="utf-8")
    _say(text)


def _chart(asked: argparse.Namespace) -> None:
    version = places.version_of(asked.version)
    images = chart.published(asked.published, version)
    archive = chart.package(_helm(), asked.root / "deploy" / "k8s" / "chart", images, version, asked.to)
    values = asked.to / "images-values.yaml"
    values.write_text(chart.values_of(images), encoding="utf-8")
    _say(f"{archive}\n{values}")


def _push_chart(asked: argparse.Namespace) -> None:
    archive = asked.to / f"vitrine-{places.version_of(asked.version)}.tgz"
    if not archive.is_file():
        raise ReleaseError(f"{archive} is not there: `make chart-package`")
    address = chart.push(_helm(), archive, asked.registry)
    if asked.output:
        with asked.output.open("a", encoding="utf-8") as file:
            file.write(f"chart={address}\n")
    _say(address)


def _helm() -> str:
    path = os.pathsep.join((str(ROOT / ".venv-deploy" / "bin"), os.environ.get("PATH", "")))
    found = shutil.which("helm", path=path)
    if found is None:
        raise ReleaseError("helm is not installed: make deploy-tools")
    return found


def _read_changelog(root: Path) -> str:
    try:
        return (root / "CHANGELOG.md").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ReleaseError("CHANGELOG.md is missing") from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
