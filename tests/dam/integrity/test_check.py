"""Every way in which database and folder can differ is told exactly, and nothing else is."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from dam.assets.models import Asset, AssetVersion, Blob
from dam.assets.storage import blob_store
from dam.integrity import comparison, named
from dam.integrity.check import check, checksums_share
from dam.integrity.report import Fault, Finding, Kind, NamedAsset, Outcome, Report, Subject
from dam.tagging.services import try_create
from pipeline.blobs import BlobStoreDownError, original_key
from pipeline.trees import FolderTree
from tests.dam.factories import AssetFactory, BlobFactory, UserFactory
from tests.dam.integrity.harm import Library, aged, flipped, key_of, picture, put, rendition_of

pytestmark = pytest.mark.django_db

MISSING_ORIGINAL = (Kind.MISSING, Subject.ORIGINAL)
MISMATCHED_ORIGINAL = (Kind.MISMATCHED, Subject.ORIGINAL)
MISSING_RENDITION = (Kind.MISSING, Subject.RENDITION)


def counts(report: Report) -> dict[Fault, int]:
    """What was found, without what was not."""
    return {fault: tally.count for fault, tally in report.tallies.items() if tally.count}


def as_named(asset: Asset) -> tuple[NamedAsset, ...]:
    return (NamedAsset(asset.pk, asset.filename),)


def test_a_sound_library_has_no_findings(library: Library) -> None:
    assets = [library.add(shade) for shade in range(5)]

    report = check(checksums="all")

    size = sum(asset.size for asset in assets)
    assert (report.outcome, report.is_sound, report.findings) == (Outcome.DONE, True, [])
    assert (report.originals.count, report.originals.size, report.renditions) == (5, size, 10)
    assert (report.read.count, report.read.size, report.listed.count) == (5, size, 15)


def test_an_empty_library_is_sound(library: Library) -> None:
    assert check(checksums="all").is_sound


def test_each_fault_is_told_with_its_path_its_bytes_and_its_pictures(library: Library, place: Path) -> None:
    gone, changed, cut, bare, blank, sound = (library.add(shade) for shade in range(6))
    (place / key_of(gone)).unlink()
    (place / key_of(changed)).write_bytes(flipped((place / key_of(changed)).read_bytes()))
    (place / key_of(cut)).write_bytes((place / key_of(cut)).read_bytes()[:-10])
    (place / rendition_of(bare)).unlink()
    (place / rendition_of(blank, "preview")).write_bytes(b"")
    orphan = original_key("ab" * 32)
    lone = f"{original_key('cd' * 32).rpartition('/')[0]}/grid.jpg"
    beside = f"{key_of(sound).rpartition('/')[0]}/other.jpg"
    for key, content in ((orphan, b"nobody's"), (lone, b"small"), (beside, b"of once")):
        put(place / key, content)
    put(place / "READ ME.txt", b"hello")
    put(place / key_of(sound).rpartition("/")[0] / "deeper" / "original", b"abc")

    report = check(checksums="all")

    found = {(one.kind, one.subject, one.path): one for one in report.findings}
    sha256 = found[*MISMATCHED_ORIGINAL, key_of(changed)].detail.rpartition(" ")[2]
    assert len(sha256) == 64
    said = [
        Finding(one.kind, one.subject, one.path, one.size, "", one.assets) for one in report.worst_first()
    ]
    mismatched = sorted([changed, cut], key=key_of)
    assert said == [
        Finding(*MISSING_ORIGINAL, key_of(gone), gone.size, "", as_named(gone)),
        *(Finding(*MISMATCHED_ORIGINAL, key_of(one), one.size, "", as_named(one)) for one in mismatched),
        Finding(*MISSING_RENDITION, rendition_of(bare), 0, "", as_named(bare)),
        Finding(Kind.MISMATCHED, Subject.RENDITION, rendition_of(blank, "preview"), 0, "", as_named(blank)),
        Finding(Kind.ORPHANED, Subject.ORIGINAL, orphan, 8),
        *sorted(
            [
                Finding(Kind.ORPHANED, Subject.RENDITION, lone, 5),
                Finding(Kind.ORPHANED, Subject.RENDITION, beside, 7),
            ],
            key=lambda one: one.path,
        ),
        *sorted(
            [
                Finding(Kind.ORPHANED, Subject.FOREIGN, "READ ME.txt", 5),
                Finding(
                    Kind.ORPHANED,
                    Subject.FOREIGN,
                    f"{key_of(sound).rpartition('/')[0]}/deeper/original",
                    3,
                ),
            ],
            key=lambda one: one.path,
        ),
    ]
    assert found[*MISMATCHED_ORIGINAL, key_of(changed)].detail == f"its bytes have the sha256 {sha256}"
    assert found[*MISMATCHED_ORIGINAL, key_of(cut)].detail == f"{cut.size - 10} bytes instead of {cut.size}"
    assert (report.damaged, report.is_sound, report.outcome) == (3, False, Outcome.DONE)
    assert report.tallies[MISMATCHED_ORIGINAL].size == changed.size + cut.size


def test_sizes_alone_do_not_see_a_flipped_bit(library: Library, place: Path) -> None:
    changed, cut = library.add(1), library.add(2)
    (place / key_of(changed)).write_bytes(flipped((place / key_of(changed)).read_bytes()))
    (place / key_of(cut)).write_bytes(b"")

    assert [one.path for one in check(checksums="none").findings] == [key_of(cut)]
    assert counts(check(checksums="all")) == {MISMATCHED_ORIGINAL: 2}


def test_every_picture_of_the_same_bytes_is_named(library: Library, place: Path) -> None:
    one, other = library.add(1), library.add(2)
    AssetVersion.objects.create(asset=other, number=2, blob=one.current_version.blob, filename="1.png")
    (place / key_of(one)).unlink()

    (finding,) = check().findings

    assert finding.assets == (*as_named(one), *as_named(other))


def test_the_same_file_uploaded_again_mends_what_was_missing(library: Library, place: Path) -> None:
    gone, _ = library.add(1), library.add(2)
    (place / key_of(gone)).unlink()
    assert counts(check()) == {MISSING_ORIGINAL: 1}

    library.upload_again(gone)

    assert check(checksums="all").is_sound


def test_what_is_younger_than_a_day_is_nobodys_orphan(library: Library, place: Path) -> None:
    library.add(1)
    blob_store().put(io.BytesIO(b"an upload under way"))
    put(place / "fresh.txt", b"x", by=timedelta(hours=23))
    put(place / "incoming" / "of-a-crash.part", b"swept by others")

    assert check().findings == []


def test_bytes_that_somebody_tries_are_named(library: Library, place: Path) -> None:
    library.add(1)
    job = try_create(stream=picture(9), user=UserFactory())
    aged(place / job.blob_key)

    assert check().findings == []


def test_a_blob_that_no_picture_uses_is_nobodys_loss(library: Library, place: Path) -> None:
    library.add(1)
    BlobFactory()

    assert check().findings == []


def test_a_link_to_another_disk_is_followed(library: Library, place: Path, tmp_path: Path) -> None:
    moved = library.add(1)
    elsewhere = tmp_path / "elsewhere"
    (place / key_of(moved)).rename(elsewhere)
    (place / key_of(moved)).symlink_to(elsewhere)

    report = check(checksums="all")

    assert (report.findings, report.read.count) == ([], 1)


def test_names_that_are_no_utf8_are_told_escaped(library: Library, place: Path) -> None:
    library.add(1)
    odd = place / "caf\udce9.txt"
    put(odd, b"x")

    report = check()

    assert [one["path"] for one in report.as_dict()["findings"]] == ["caf\\udce9.txt"]


def test_many_are_counted_and_some_are_kept(library: Library, place: Path, monkeypatch) -> None:
    monkeypatch.setattr("dam.integrity.check.FINDINGS_KEPT", 3)
    monkeypatch.setattr(comparison, "_BATCH", 2)
    monkeypatch.setattr(named, "_PAGE", 2)
    library.add(0)
    for shade in range(1, 8):
        (place / key_of(library.add(shade))).unlink()
    for number in range(5):
        put(place / f"{number}.txt", b"12")

    report = check()

    assert counts(report) == {MISSING_ORIGINAL: 7, (Kind.ORPHANED, Subject.FOREIGN): 5}
    assert report.tallies[Kind.ORPHANED, Subject.FOREIGN].size == 10
    kept = [one.fault for one in report.worst_first()]
    assert kept == [MISSING_ORIGINAL] * 3 + [(Kind.ORPHANED, Subject.FOREIGN)] * 3
    assert len(report.as_dict(limit=1)["findings"]) == 2


# ------------------------------------------------------------- a share of them


class WatchedTree(FolderTree):
    """The real folder, which knows what was opened and has a place for the test at each step."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: list[str] = []
        self.before_head: Callable[[], None] | None = None
        self.errors: dict[str, OSError] = {}

    def open(self, path: str) -> BinaryIO:
        self.opened.append(path)
        return Failing(self.errors[path]) if path in self.errors else super().open(path)

    def head(self, path: str):
        hook, self.before_head = self.before_head, None
        if hook:
            hook()
        return super().head(path)


class Failing(io.RawIOBase):
    def __init__(self, error: OSError) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        raise self._error


@pytest.fixture
def tree(place: Path) -> WatchedTree:
    return WatchedTree(place)


def opened_by(tree: WatchedTree, checksums: str) -> list[str]:
    tree.opened.clear()
    check(checksums=checksums, store=tree)
    return list(tree.opened)


def test_a_share_takes_those_that_were_read_longest_ago(library: Library, tree: WatchedTree) -> None:
    everything = sorted(key_of(library.add(shade)) for shade in range(10))

    rounds = [opened_by(tree, "40%") for _ in range(4)]

    assert rounds == [everything[:4], everything[4:8], everything[8:], everything[:4]]


def test_the_smallest_share_reads_one(library: Library, tree: WatchedTree) -> None:
    keys = sorted(key_of(library.add(shade)) for shade in range(3))

    assert [opened_by(tree, "0.1%") for _ in range(4)] == [[keys[0]], [keys[1]], [keys[2]], [keys[0]]]


def test_other_runs_do_not_change_whose_turn_it_is(library: Library, tree: WatchedTree) -> None:
    keys = sorted(key_of(library.add(shade)) for shade in range(4))

    assert opened_by(tree, "50%") == keys[:2]
    assert opened_by(tree, "none") == []
    assert opened_by(tree, "all") == keys
    with pytest.raises(BlobStoreDownError):
        check(checksums="50%", store=FolderTree(Path(tree.url) / "nowhere"))
    assert opened_by(tree, "50%") == keys[2:]


def test_a_run_that_is_stopped_is_gone_on_with(library: Library, tree: WatchedTree, monkeypatch) -> None:
    monkeypatch.setattr("dam.integrity.check.THREADS", 1)
    keys = sorted(key_of(library.add(shade)) for shade in range(10))

    stopped = check(checksums="80%", store=tree, should_stop=lambda: len(tree.opened) >= 5)

    assert stopped.outcome is Outcome.STOPPED
    read = [key for key in keys if key.split("/")[2] <= stopped.read_until]
    assert 0 < stopped.read.count == len(read) <= 5
    assert opened_by(tree, "20%") == keys[len(read) : len(read) + 2]


def test_what_was_found_changed_is_read_again_until_it_is_mended(
    library: Library, place: Path, tree: WatchedTree
) -> None:
    changed, *_ = (library.add(shade) for shade in range(4))
    (place / key_of(changed)).write_bytes(flipped((place / key_of(changed)).read_bytes()))
    assert check(checksums="all").damaged == 1

    for _ in range(2):
        assert opened_by(tree, "none") == [key_of(changed)] * 2
        assert check(checksums="none").damaged == 1
    (place / key_of(changed)).unlink()
    library.upload_again(changed)

    assert check(checksums="none").damaged == 0
    assert opened_by(tree, "none") == []


@pytest.mark.parametrize(("text", "share"), [("all", 1.0), ("none", 0.0), ("5%", 0.05), ("0.5%", 0.005)])
def test_shares_are_read(text: str, share: float) -> None:
    assert checksums_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "5", "0%", "101%", "-1%", "some", "5 %"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use all, none, or one such as 5%"):
        check(checksums=text)


# ------------------------------------------------------- stores that do not do


def test_a_disk_that_cannot_give_one_file_harms_that_one(library: Library, tree: WatchedTree) -> None:
    bad, _ = library.add(1), library.add(2)
    tree.errors[key_of(bad)] = OSError(errno.EIO, "Input/output error")

    report = check(checksums="all", store=tree)

    assert [(one.fault, one.path, one.detail) for one in report.findings] == [
        (MISMATCHED_ORIGINAL, key_of(bad), "cannot be read: Input/output error")
    ]


def test_a_store_that_went_away_is_an_outage_and_nothing_is_missing(
    library: Library, tree: WatchedTree
) -> None:
    lost, _ = library.add(1), library.add(2)
    tree.errors[key_of(lost)] = OSError(errno.ESTALE, "Stale file handle")

    with pytest.raises(BlobStoreDownError, match="Stale file handle"):
        check(checksums="all", store=tree)


def test_a_folder_that_is_not_there_is_an_outage(library: Library, place: Path, settings) -> None:
    library.add(1)
    settings.BLOB_URL = str(place.parent / "elsewhere")

    with pytest.raises(BlobStoreDownError, match="there is no folder"):
        check()


def test_a_store_that_has_nothing_of_it_is_the_wrong_one(library: Library, place: Path, settings) -> None:
    for shade in range(3):
        library.add(shade)
    settings.BLOB_URL = str(place.parent / "elsewhere")
    put(place.parent / "elsewhere" / original_key("ab" * 32), b"another library's")

    report = check()

    assert report.outcome is Outcome.WRONG_STORE
    assert not report.is_sound
    assert report.trouble.startswith("None of the 3 originals that the database names is in /")
    assert counts(report) == {MISSING_ORIGINAL: 3}


def test_of_a_large_library_some_are_looked_for_before_the_store_is_called_wrong(place: Path) -> None:
    place.mkdir()
    blobs = [BlobFactory() for _ in range(150)]
    asset = AssetFactory()
    AssetVersion.objects.bulk_create(
        AssetVersion(asset=asset, number=2 + number, blob=blob, filename="x.png")
        for number, blob in enumerate(blobs)
    )

    report = check()

    assert report.outcome is Outcome.WRONG_STORE
    assert 5 <= report.damaged <= 100
    assert f"None of {report.damaged}, chosen by chance, of the 151 originals" in report.trouble


def test_the_first_original_that_is_there_makes_it_the_right_store(library: Library, place: Path) -> None:
    for shade in range(8):
        library.add(shade)
    for blob in Blob.objects.order_by("sha256")[:7]:
        (place / blob.key).unlink()

    report = check()

    assert (report.outcome, counts(report)) == (Outcome.DONE, {MISSING_ORIGINAL: 7})
