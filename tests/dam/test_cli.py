"""The commands, as a person or a script calls them."""

from __future__ import annotations

import io
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
from django.contrib.auth.models import User
from django.core.management import CommandError, ManagementUtility, call_command
from django.db import connection
from django.test import Client
from knox.models import AuthToken
from PIL import Image

from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.library import links
from dam.library.links import make_path, user_for
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.blobs import BlobStoreDownError
from pipeline.messages import FailureReason, ModelIdentity, Outcome, Purpose, TagResult
from tests.dam.factories import AssetFactory, StaffFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(*words: str, code: int = 0) -> str:
    """What a command prints; it ends with that exit code."""
    out = io.StringIO()
    ended: str | int | None = 0
    try:
        call_command(*words, stdout=out)
    except SystemExit as ending:
        ended = ending.code
    assert ended == code
    return out.getvalue()


def run_json(*words: str, code: int = 0):
    return json.loads(run(*words, "--json", code=code))


def paint(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24), (number % 256, number // 256, 7)).save(path)
    return path


@pytest.fixture
def admin():
    return StaffFactory(username="root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures in two folders, two of them equal; a text, an empty file; hidden things, a circle."""
    root = tmp_path / "photos"
    paint(root / "a.png", 1)
    paint(root / "trip" / "b.png", 2)
    paint(root / "trip" / "same as a.png", 1)
    (root / "notes.txt").write_text("not a picture")
    (root / "empty.jpg").write_bytes(b"")
    paint(root / ".hidden" / "c.png", 3)
    paint(root / ".d.png", 4)
    (root / "trip" / "circle").symlink_to(root, target_is_directory=True)
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "itself.jpg").symlink_to(root / "itself.jpg")
    os.mkfifo(root / "pipe")
    return root


# ------------------------------------------------------------------- import


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


# ------------------------------------------------------------- as a process


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


def test_a_command_without_a_database_says_in_one_line_how_to_start_vitrine(tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    def search(**changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dam.cli", "search", "dog"],
            env=env | changes,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    ended = search(VITRINE_HOME=str(tmp_path))
    assert ended.returncode == 1
    assert (
        ended.stderr.strip() == "Vitrine does not run: its database cannot be reached. `make run` starts it."
    )
    ended = search(DATABASE_URL=f"postgresql://nobody@/nowhere?host={tmp_path}")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("The database of DATABASE_URL cannot be reached: ")


# ------------------------------------------------------------------- search


def test_search_prints_what_the_api_answers(admin):
    asset = AssetFactory(tags=[TagFactory(name="dog")], filename="rex.jpg")
    AssetFactory()
    body = run_json("search", "dog")
    client = Client()
    client.force_login(admin)
    assert body["results"] == client.get("/api/v1/assets/", {"q": "dog"}).json()["results"]
    assert [result["id"] for result in body["results"]] == [asset.pk]
    assert "rex.jpg" in run("search", "dog")
    assert "Nothing was found" in run("search", "unicorn")


def test_search_prints_as_many_as_asked_for(admin):
    for _ in range(3):
        AssetFactory()
    body = run_json("search", "--limit", "2", "--sort", "oldest")
    assert [result["id"] for result in body["results"]] == sorted(Asset.objects.values_list("id", flat=True))[
        :2
    ]
    assert body["more"] is True


def test_a_search_that_cannot_be_understood_points_at_the_place(admin):
    with pytest.raises(CommandError) as caught:
        run("search", "dog (cat")
    assert str(caught.value).splitlines()[1:] == ["  dog (cat", "      ^"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("-dog",), {"cat", "house"}),
        (("-dog", "-cat"), {"house"}),
        (("dog -cat",), {"dog"}),
        (("dog", "-cat"), {"dog"}),
        (("-cat", "--limit", "9", "-house", "--sort=oldest"), {"dog"}),
        (("--", "-cat", "-house"), {"dog"}),
        (("-house",), {"dog", "cat"}),  # and not -h
        (("-vase", "-v", "0"), {"dog", "cat", "house"}),  # and not -v
        (("--", "-v", "-h"), {"dog", "cat", "house"}),
        (("(-dog", "OR", "dog)", "-tag:cat", '-"house"'), {"dog"}),
    ],
)
def test_words_with_a_dash_are_part_of_the_query_and_no_options(admin, words, found):
    for name in ("dog", "cat", "house"):
        AssetFactory(tags=[TagFactory(name=name)], filename=f"{name}.jpg")
    body = run_json_before(words)
    assert {result["filename"].removesuffix(".jpg") for result in body["results"]} == found


def run_json_before(words: tuple[str, ...]):
    """With ``--json`` first: after ``--`` it would be searched for."""
    return json.loads(run("search", "--json", *words))


def typed(*words: str) -> None:
    """A command line, without setting Django up again: that closes what handlers of logging write to."""
    ManagementUtility(["vitrine", *words]).fetch_command(words[0]).run_from_argv(["vitrine", *words])


def test_the_help_of_search_tells_of_dashes(capsys):
    with pytest.raises(SystemExit):
        typed("search", "-h")
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("usage: vitrine search")
    assert "a word with one dash before it is one that the pictures shall not have" in told
    with pytest.raises(SystemExit) as ended:
        typed("search", "--nonsense")
    assert ended.value.code == 2


# ------------------------------------------------------------ tokens, links


def test_a_token_is_printed_once_and_works():
    UserFactory(username="ada")
    token = run("create_token", "ada").strip()
    answered = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/assets/")
    assert answered.status_code == 200
    assert token not in str(AuthToken.objects.values())


def test_a_token_can_make_its_user():
    with pytest.raises(CommandError, match="no user “robot”; --create makes one"):
        run("create_token", "robot")
    run("create_token", "robot", "--create")
    assert not User.objects.get(username="robot").has_usable_password()
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="not active"):
        run("create_token", "robot")


def parts(link: str) -> tuple[str, str]:
    uidb64, token = link.strip("/").split("/")[-2:]
    return uidb64, token


def test_the_first_administrator_gets_a_new_link_at_every_start_until_the_first_sign_in():
    first, second = (run("sign_in_link", "--first-admin").strip() for _ in range(2))
    user = User.objects.get()
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("admin", True, False)
    assert user_for(*parts(first)) == user_for(*parts(second)) == user
    Client().force_login(user)
    assert user_for(*parts(first)) is None
    assert user_for(*parts(second)) is None
    assert run("sign_in_link", "--first-admin") == ""


def test_an_administrator_with_a_password_needs_no_first_link():
    User.objects.create_superuser("boss", password="secret")
    assert run("sign_in_link", "--first-admin") == ""
    assert User.objects.count() == 1


def test_the_first_administrator_takes_no_other_persons_name():
    UserFactory(username="admin")
    run("sign_in_link", "--first-admin")
    assert User.objects.get(is_superuser=True).username == "admin2"


def test_a_link_is_for_one_person_for_a_day(admin, monkeypatch):
    ada = UserFactory(username="ada")
    link = run("sign_in_link", "ada", "--base-url", "https://pictures.example/").strip()
    assert link.startswith("https://pictures.example/sign-in/link/")
    uidb64, token = parts(link)
    assert user_for(uidb64, token) == ada
    assert user_for(parts(make_path(admin))[0], token) is None
    assert user_for("💥", token) is None
    assert user_for(uidb64, "x-y") is None
    assert parts(run("sign_in_link").strip())[0] == parts(make_path(admin))[0]

    now = links._tokens._now()
    monkeypatch.setattr(links._tokens, "_now", lambda: now + links.VALID_FOR * 1.1)
    assert user_for(uidb64, token) is None


def test_a_link_is_refused_to_who_may_not_sign_in():
    UserFactory(username="gone", is_active=False)
    with pytest.raises(CommandError, match="not active"):
        run("sign_in_link", "gone")
    with pytest.raises(CommandError, match="no user"):
        run("sign_in_link", "nobody")
    with pytest.raises(CommandError, match="no administrator"):
        run("sign_in_link")
