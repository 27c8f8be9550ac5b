"""The command tells what was found, and ends in order."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from dam.assets.models import Blob
from dam.integrity.models import IntegrityRun
from tests.dam.integrity.harm import Library, key_of, put
from tests.plugins.processes import wait_for

# The command takes the signals of its process, which here is that of all tests.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signals_as_before")]

SOON = 120.0


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("integrity", *words, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_sound_library_is_told_in_a_sentence(library: Library) -> None:
    library.add(1)

    code, said = run("--checksums", "all")

    assert code == 0
    assert "Every original is there; the bytes of 1 were read and are right." in said
    record = IntegrityRun.objects.get()
    assert record.command.startswith("vitrine integrity --checksums all, by ")


def test_damage_is_told_with_pictures_and_the_way_to_mend_it(library: Library, place: Path) -> None:
    gone, _ = library.add(1), library.add(2)
    (place / key_of(gone)).unlink()
    put(place / "notes.txt", b"x")

    code, said = run()

    assert code == 1
    assert key_of(gone) in said
    assert f"picture {gone.pk}: 1.png" in said
    assert "Upload the same file again" in said
    assert "notes.txt" in said
    assert "1 of the originals is missing or changed." in said


def test_orphans_alone_are_no_failure(library: Library, place: Path) -> None:
    library.add(1)
    put(place / "notes.txt", b"x")

    code, said = run("--json")

    told = json.loads(said)
    assert (code, told["is_sound"], told["damaged"], told["outcome"]) == (0, True, 0, "done")
    assert [one["path"] for one in told["findings"]] == ["notes.txt"]
    assert {"kind": "orphaned", "of": "foreign", "count": 1, "bytes": 1} in told["faults"]


def test_a_limit_holds_for_what_is_told_and_not_for_what_is_counted(library: Library, place: Path) -> None:
    library.add(1)
    for number in range(3):
        put(place / f"{number}.txt", b"x")

    assert len(json.loads(run("--json", "--limit", "2")[1])["findings"]) == 2
    assert "and 1 more" in run("--limit", "2")[1]
    assert IntegrityRun.objects.first().findings.count() == 3


def test_the_wrong_store_is_told_as_such(library: Library, place: Path, settings) -> None:
    library.add(1)
    (place.parent / "elsewhere").mkdir()
    settings.BLOB_URL = str(place.parent / "elsewhere")

    code, said = run()

    assert code == 1
    assert "another installation's store" in said


def test_an_outage_is_told_in_a_sentence(library: Library, settings) -> None:
    library.add(1)
    settings.BLOB_URL += "-elsewhere"

    with pytest.raises(CommandError, match="the blob store cannot be looked through: there is no folder"):
        run()


def test_what_is_no_share_is_refused_before_anything_is_begun(library: Library) -> None:
    with pytest.raises(CommandError, match="use all, none, or one such as 5%"):
        run("--checksums", "many")
    assert not IntegrityRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_signal_ends_it_in_order(library: Library, place: Path, database_url: str) -> None:
    asset = library.add(1)
    # Holes read as zeros, for longer than any test.
    os.truncate(place / key_of(asset), 1 << 40)
    Blob.objects.update(size=1 << 40)
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", database_url),
        "VITRINE_BLOB_URL": str(place),
    }
    words = [sys.executable, "-m", "dam.cli", "integrity", "--checksums", "all", "--json"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(IntegrityRun.objects.exists, SOON, "the run to begin")
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=SOON)
        finally:
            process.kill()

    assert process.returncode == 130
    told = json.loads(said)
    assert (told["outcome"], told["is_sound"], told["read"]["count"]) == ("stopped", False, 0)
    run = IntegrityRun.objects.get()
    assert (run.outcome, run.ended_at is not None, run.damaged) == ("stopped", True, 0)
