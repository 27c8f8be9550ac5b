"""Holds the migrations that are new to the rules: ``python -m tests.upgrade``, a part of ``make lint``.

``--landed`` writes the list of those that are there for good; what stands on it is not looked at again, and
must not change. A migration of a library is looked at like ours, and can be excused by the list alone.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import django

from dam.embedded.state import ROOT

LIST = Path(__file__).with_name("landed.txt")
_RELEASE = re.compile(r"^## \[(\d+)\.(\d+)\.", re.MULTILINE)


def running_release() -> tuple[int, int]:
    """The newest release that there is, major and minor number; (0, 0) if there is none yet."""
    found = _RELEASE.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    return max(((int(major), int(minor)) for major, minor in found), default=(0, 0))


def landed() -> dict[str, str]:
    """``app.name`` → digest, or ``-`` for those of libraries."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


def main(words: list[str]) -> int:
    """Print what is wrong, one line each; the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
    django.setup()
    found = list(_looked_at(write="--landed" in words))
    print("\n".join(found) or "Migrations keep to the rules.")
    return 1 if found else 0


def _looked_at(*, write: bool) -> Iterator[str]:
    from django.db import connection  # noqa: PLC0415 - after the settings
    from django.db.migrations.loader import MigrationLoader  # noqa: PLC0415

    from tests.upgrade.migration_rules import OURS, digest, file_problems, problems  # noqa: PLC0415

    loader = MigrationLoader(None)
    digests = {}
    for (app, name), migration in loader.disk_migrations.items():
        module = sys.modules[type(migration).__module__]
        ours = module.__name__.startswith(OURS)
        digests[f"{app}.{name}"] = digest(Path(str(module.__file__))) if ours else "-"
    if write:
        comment = (
            "# Migrations that are there for good, with digests of ours: python -m tests.upgrade --landed\n"
        )
        lines = [f"{name} {value}\n" for name, value in sorted(digests.items())]
        LIST.write_text(comment + "".join(lines), encoding="utf-8")
        return
    known = landed()
    yield from (
        f"{name}: it is gone, and databases have it" for name in sorted(known.keys() - digests.keys())
    )
    for name, value in sorted(digests.items()):
        app, _, short = name.partition(".")
        migration = loader.disk_migrations[app, short]
        if name in known:
            if known[name] != value:
                yield f"{name}: it has changed since it landed, and is not applied again where it was"
            continue
        before = loader.project_state((app, short), at_end=False)
        wrong = problems(migration, before, connection, running_release())
        if value != "-":
            wrong += file_problems(Path(str(sys.modules[type(migration).__module__].__file__)))
        yield from (f"{name}: {sentence}" for sentence in wrong)
    yield from (f"{app}: two newest migrations: {names}" for app, names in loader.detect_conflicts().items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
