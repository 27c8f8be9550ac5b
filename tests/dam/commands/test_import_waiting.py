"""The command ``import --wait``, and how it ends before its time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import FailureReason, ModelIdentity, Outcome, Purpose, TagResult
from tests.dam.commands.calling import run_json

pytestmark = pytest.mark.django_db
MODEL = ModelIdentity(name="tagger", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")


def answer_jobs(*, failing: str, expected: int) -> threading.Thread:
    """Workers and results writer in one: the assets of that name fail, the others are tagged."""

    def work() -> None:
        deadline = time.monotonic() + 120
        answered = 0
        try:
            while answered < expected and time.monotonic() < deadline:
                for job in TaggingJob.objects.filter(state="queued").select_related("asset"):
                    facts = (
                        {"outcome": Outcome.FAILED, "reason": FailureReason.CORRUPT, "detail": "Cut off."}
                        if job.asset.filename == failing
                        else {"outcome": Outcome.TAGGED, "model": MODEL}
                    )
                    result = TagResult(
                        job_id=job.pk, generation=job.generation, purpose=Purpose.LIVE, **facts
                    )
                    result_record(result=result, words=vocabulary())
                    answered += 1
                time.sleep(0.01)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_every_picture_is_tagged_or_failed(admin, folder):
    worker = answer_jobs(failing="b.png", expected=2)
    report = run_json("import", str(folder), "--wait", "--timeout", "120", code=1)
    worker.join()
    # The file of the same bytes counts with its asset.
    assert (report["new"], report["tagged"], report["failed"], report["pending"]) == (2, 2, 1, 0)
    failed = next(file for file in report["files"] if file["outcome"] == "failed")
    assert (failed["reason"], failed["detail"]) == ("corrupt", "Cut off.")
    again = run_json("import", str(folder), "--wait", code=1)
    assert {Path(f["path"]).name: f["outcome"] for f in again["files"] if f["asset"]} == {
        "a.png": "duplicate",
        "same as a.png": "duplicate",
        "b.png": "failed",
    }


def test_waiting_gives_up_in_time_and_says_so(admin, folder, capsys):
    with pytest.raises(SystemExit) as stopped:
        call_command("import", str(folder), "--wait", "--timeout", "0", "--json")
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["pending"] == 3
    assert "2 pictures were not tagged in time" in printed.err


def environment() -> dict[str, str]:
    """Of a command that works on the tests' database."""
    name = connection.settings_dict["NAME"]
    address = re.sub(r"^(\w+://[^/?]*)/[^?]*", rf"\1/{name}", os.environ["DATABASE_URL"])
    return os.environ | {"DATABASE_URL": address}


@pytest.mark.django_db(transaction=True)
def test_ctrl_c_ends_an_import_with_a_report_of_what_was_done(admin, folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "dam.cli", "import", str(folder), "--wait", "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while Asset.objects.count() < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["new"] == 2
    assert "run it again to continue" in err
    assert "Traceback" not in err
