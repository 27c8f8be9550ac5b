"""The version of a release, and what CHANGELOG.md says of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.deploy.monitoring_files import ROOT
from tests.plugins.release_checkout import CHANGELOG, NAMING, NOTES, Checkout


def test_a_new_version_is_written_everywhere(released: Checkout) -> None:
    assert 'version = "7.8.9"' in (released.root / "pyproject.toml").read_text()
    chart = yaml.safe_load((released.root / "deploy/k8s/chart/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == ("7.8.9", "7.8.9")
    compose = yaml.safe_load((released.root / "docker/compose.yaml").read_text())
    ours = {one["image"] for one in compose["services"].values() if "vitrine/" in one["image"]}
    assert len(ours) == 3
    assert all(image.endswith(":${VITRINE_VERSION:-7.8.9}") for image in ours)
    done = released.release("check", "v7.8.9")
    assert done.returncode == 0, done.stderr


def test_what_was_not_released_becomes_the_section_of_the_version(released: Checkout) -> None:
    text = released.changelog.read_text()
    assert text == CHANGELOG.replace("## [Unreleased]", "## [Unreleased]\n\n## [7.8.9] - 2026-12-24")
    assert released.release("notes", "v7.8.9").stdout == f"{NOTES}\n"


def test_a_tag_that_is_not_the_version_of_the_files_is_refused_by_their_names(released: Checkout) -> None:
    settings = released.root / "dam" / "settings.py"
    settings.write_text(settings.read_text().replace('"VERSION": "7.8.9"', '"VERSION": "7.8.8"'))
    done = released.release("check", "v7.8.9")
    assert done.returncode == 1
    assert re.search(r"dam/settings\.py:\d+ says 7\.8\.8", done.stderr)
    assert "pyproject" not in done.stderr


@pytest.mark.parametrize("version", ["", "1.2", "1.2.x", "01.2.3", "1.2.3-rc.1", "v1.2.3\n", "vv1.2.3"])
def test_what_is_no_version_is_refused(checkout: Checkout, version: str) -> None:
    for command in ("check", "version"):
        done = checkout.release(command, version)
        assert done.returncode == 1
        assert "is no version: three numbers such as 1.2.3" in done.stderr
    assert checkout.changelog.read_text() == CHANGELOG


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("## [7.8.9] - 2026-12-24", "## 7.8.9", "has no sections [7.8.9]"),
        ("## [0.0.9]", "## [7.8.9]", "has 2 sections [7.8.9]"),
        ("- 2026-12-24", "- soon", "has no date"),
        (" - 2026-12-24", "", "has no date"),
        (NOTES, "Much.", "says nothing"),
        (
            "## [Unreleased]\n",
            "## [Unreleased]\n\n## [8.0.0] - 2027-01-01\n\n- More.\n",
            "[8.0.0] stands above",
        ),
    ],
)
def test_a_changelog_that_does_not_tell_of_the_version_is_refused(
    released: Checkout, old: str, new: str, complaint: str
) -> None:
    text = released.changelog.read_text()
    assert old in text
    released.changelog.write_text(text.replace(old, new))
    for command in ("check", "notes"):
        done = released.release(command, "7.8.9")
        assert done.returncode == 1
        assert complaint in done.stderr


def test_a_version_is_made_once(released: Checkout) -> None:
    before = {name: (released.root / name).read_bytes() for name in NAMING}
    for version, complaint in (
        ("7.8.9", "a section [7.8.9] already"),
        ("7.9.0", "nothing below [Unreleased]"),
    ):
        done = released.release("version", version)
        assert done.returncode == 1
        assert complaint in done.stderr
    assert {name: (released.root / name).read_bytes() for name in NAMING} == before


def test_a_version_never_goes_back(checkout: Checkout) -> None:
    done = checkout.release("version", "0.0.1")
    assert done.returncode == 1
    assert "0.0.1 is older than" in done.stderr


def test_a_file_that_does_not_name_the_version_any_more_is_an_error(released: Checkout) -> None:
    project = released.root / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "7.8.9"', 'dynamic = ["version"]'))
    for words in (("check", "7.8.9"), ("version", "8.0.0")):
        done = released.release(*words)
        assert done.returncode == 1
        assert "pyproject.toml names no version" in done.stderr


def test_the_version_of_this_repository_is_one_everywhere() -> None:
    program = "import places, pathlib, sys; print({v for _, v in places.written(pathlib.Path(sys.argv[1]))})"
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)],
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "deploy" / "release")},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split(",")) == 1
