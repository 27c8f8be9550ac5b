"""Python and the packages, held against what this version of Vitrine asks for."""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from collections import defaultdict
from importlib.metadata import PackageNotFoundError

from dam.embedded.state import ROOT
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, skipped, warning

_NAME = "vitrine"
# What this command itself belongs to; the others belong to other processes, which may live elsewhere.
_OURS = frozenset({"", "catalogue"})
_FOR_PEOPLE = frozenset({"worker", "catalogue", "model", "train", "tracing", "embedded"})


def python() -> Finding:
    """One of the versions that the packages are tested with."""
    asked, _ = _asked_for()
    if asked is None:
        return skipped("the package vitrine is not installed here, so nobody says what it asks for")
    try:
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415  # comes with other packages, or not
    except ImportError:
        return skipped("the package `packaging` is not installed")
    now = platform.python_version()
    if not SpecifierSet(asked).contains(now, prereleases=True):
        return failure(
            f"{now}, and {asked} is asked for", mend="Install Vitrine into an environment of such a Python."
        )
    return ok(now)


def packages() -> list[Finding]:
    """As pyproject.toml asks for; extras of which nothing is installed belong to other machines."""
    try:
        from packaging.requirements import Requirement  # noqa: PLC0415  # comes with other packages, or not
    except ImportError:
        return [skipped("the package `packaging` is not installed; `pip check` does the same")]
    _, requirements = _asked_for()
    if not requirements:
        return [skipped("the package vitrine is not installed here, so nobody says what it asks for")]
    wanted: defaultdict[str, list[Requirement]] = defaultdict(list)
    for extra, text in requirements:
        requirement = Requirement(text)
        if requirement.name != _NAME and (
            requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        ):
            wanted[extra].append(requirement)
    found, complete = [], []
    for extra in sorted(wanted):
        missing = [one.name for one in wanted[extra] if _installed(one.name) is None]
        wrong = [
            f"{one.name} {version} (asked for: {one.specifier})"
            for one in wanted[extra]
            if (version := _installed(one.name)) is not None
            and not one.specifier.contains(version, prereleases=True)
        ]
        name = extra or "all processes"
        tell = failure if extra in _OURS else warning
        mend = f"`pip install 'vitrine[{extra}]'`" if extra else "`pip install vitrine`"
        if missing and extra in _OURS:
            found.append(tell(f"missing: {', '.join(missing)}", mend=f"{mend} in this environment.").of(name))
        if wrong:
            found.append(tell(", ".join(wrong), mend=f"{mend} in this environment.").of(name))
        if extra and not missing and extra in _FOR_PEOPLE:
            complete.append(extra)
    return found or [ok(f"as asked for; complete here: {', '.join(complete)}")]


def _asked_for() -> tuple[str | None, list[tuple[str, str]]]:
    """The versions of Python, and (extra, requirement): of the checkout if this is one, else as installed."""
    pyproject = ROOT / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        extras = {"": project["dependencies"], **project["optional-dependencies"]}
        return project["requires-python"], [(extra, text) for extra, all_ in extras.items() for text in all_]
    try:
        about = importlib.metadata.metadata(_NAME)
    except PackageNotFoundError:
        return None, []
    extras_told = ["", *(about.get_all("Provides-Extra") or [])]
    return about["Requires-Python"], [
        (extra, text)
        for text in importlib.metadata.requires(_NAME) or []
        for extra in extras_told
        if _belongs(text, extra)
    ]


def _belongs(requirement: str, extra: str) -> bool:
    marker = requirement.partition(";")[2]
    if "extra ==" not in marker:
        return not extra
    return f"extra == '{extra}'" in marker or f'extra == "{extra}"' in marker


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except PackageNotFoundError:
        return None


INSTALLATION = Area("Installation", (Check("Python", python), Check("packages", packages)))
