"""The command ``import``: every file has an outcome."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from pipeline.blobs import BlobStoreDownError
from tests.dam.commands.calling import paint, run, run_json
from tests.dam.factories import UserFactory

pytestmark = pytest.mark.django_db


def test_importing_a_folder_gives_every_file_an_outcome(admin, folder):
    report = run_json("import", str(folder), code=1)
    by_name = {Path(file["path"]).name: (file["outcome"], file["reason"]) for file in report["files"]}
    assert by_name == {
        "a.png": ("pending", ""),
        "b.png": ("pending", ""),
        "same as a.png": ("duplicate", ""),
        "notes.txt": ("refused", "not-a-picture"),
        "empty.jpg": ("refused", "empty"),
        "nowhere.jpg": ("refused", "unreadable"),
        "itself.jpg": ("refused", "unreadable"),
    }
    counts = {name: report[name] for name in ("new", "duplicate", "tagged", "failed", "refused", "pending")}
    assert counts == {"new": 2, "duplicate": 1, "tagged": 0, "failed": 0, "refused": 4, "pending": 3}
    assert set(TaggingJob.objects.values_list("bulk", flat=True)) == {True}
    assert {asset.uploaded_by for asset in Asset.objects.all()} == {admin}


def test_importing_again_finds_only_duplicates(admin, folder):
    first = run_json("import", str(folder), code=1)
    again = run_json("import", str(folder), code=1)
    assert (again["new"], again["duplicate"], again["refused"]) == (0, 3, 4)
    assert {f["asset"] for f in again["files"]} == {f["asset"] for f in first["files"]}


def test_a_file_that_is_named_is_imported_though_hidden_and_whatever_its_name(admin, tmp_path):
    name = os.fsdecode(b".caf\xe9 [bold]\xff.png")
    paint(tmp_path / "plain.png", 1).rename(tmp_path / name)
    report = run_json("import", str(tmp_path / name))
    assert report["new"] == 1
    assert Asset.objects.get().filename == ".caf [bold].png"
    assert "│ duplicate │ 1 │" in run("import", str(tmp_path / name))


def test_the_report_lists_what_was_refused_and_why(admin, folder, capsys):
    report = run("import", str(folder), code=1)
    assert re.search(r"new\s+│\s+2", report)
    assert "notes.txt" in report
    assert "not-a-picture" in report
    summary = "4 of 7 files were refused: 2 unreadable, 1 empty, 1 not-a-picture. The others are kept."
    assert capsys.readouterr().err.strip() == summary


def test_an_import_without_any_refusal_ends_well(admin, folder, capsys):
    run("import", str(folder / "a.png"), str(folder / "trip" / "b.png"))
    assert capsys.readouterr().err == ""


def test_an_import_of_nothing_is_told_and_fails(admin, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    paint(tmp_path / "dark" / ".hidden.png", 1)
    with pytest.raises(CommandError, match=r"^No pictures in \S+/empty, \S+/dark\.$"):
        run("import", str(tmp_path / "empty"), str(tmp_path / "dark"))
    with pytest.raises(CommandError, match="No pictures in"):
        call_command("import", str(tmp_path / "empty"), "--json")
    assert json.loads(capsys.readouterr().out)["files"] == []


def test_a_path_that_does_not_exist_stops_the_import_before_it_begins(admin, folder):
    with pytest.raises(CommandError, match="no such file"):
        run("import", str(folder), str(folder / "missing"))
    assert Asset.objects.count() == 0


def test_an_import_needs_somebody_to_own_the_pictures(folder):
    with pytest.raises(CommandError, match="no administrator"):
        run("import", str(folder))
    with pytest.raises(CommandError, match="no active user “ada”"):
        run("import", str(folder), "--user", "ada")
    UserFactory(username="ada")
    assert run_json("import", str(folder), "--user", "ada", code=1)["new"] == 2


def test_an_outage_stops_the_import_and_says_how_far_it_came(admin, folder, monkeypatch):
    run("import", str(folder / "a.png"))
    real = type(blob_store()).put
    calls = []

    def failing(store, stream):
        calls.append(stream)
        if len(calls) > 1:
            raise BlobStoreDownError("the disk is full")
        return real(store, stream)

    monkeypatch.setattr(type(blob_store()), "put", failing)
    with pytest.raises(CommandError, match=r"stopped after 5 files.*the disk is full"):
        run("import", str(folder))
