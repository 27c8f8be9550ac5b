"""One suite for folders and buckets: what two places must agree on to be compared and copied."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from pipeline.blobs import BlobStoreDownError
from pipeline.ports import BlobMissingError
from pipeline.s3_settings import S3Settings
from pipeline.trees import FolderTree, Tree, Written, tree_from_url
from tests.plugins.object_store import ObjectStore

LARGE = 9 << 20


class Rehearsed(io.RawIOBase):
    """A stream that gives some bytes and then fails."""

    def __init__(self, before: int, error: Exception) -> None:
        self._left, self._error = before, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._left:
            raise self._error
        count = min(self._left, len(buffer))
        buffer[:count] = bytes(count)
        self._left -= count
        return count


def settings_of(store: ObjectStore) -> S3Settings:
    return S3Settings(
        endpoint=store.endpoint,
        access_key=store.access_key,
        secret_key=store.secret_key,
        region="us-east-1",
    )


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> str:
    return object_store.make_bucket()


@pytest.fixture(params=["folder", "bucket"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    if request.param == "folder":
        return FolderTree(tmp_path / "tree")
    bucket = request.getfixturevalue("bucket")
    settings = settings_of(request.getfixturevalue("object_store"))
    return tree_from_url(f"s3://{bucket}/{uuid4().hex}/prefix", settings=settings)


def put(tree: Tree, path: str, data: bytes = b"x") -> Written:
    return tree.write(path, io.BytesIO(data))


def paths(tree: Tree, under: str = "") -> list[str]:
    return [found.path for found in tree.objects(under)]


def test_what_was_written_is_read_again_with_its_size_and_hash(tree: Tree):
    written = put(tree, "ab/cd/original", b"the bytes")
    assert written == Written(9, hashlib.sha256(b"the bytes").hexdigest())
    with tree.open("ab/cd/original") as stream:
        assert stream.read() == b"the bytes"
    found = tree.head("ab/cd/original")
    assert found is not None
    assert (found.path, found.size) == ("ab/cd/original", 9)
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)
    assert [(each.path, each.size) for each in tree.objects()] == [("ab/cd/original", 9)]


def test_an_object_larger_than_a_part_comes_back_whole(tree: Tree):
    data = os.urandom(1 << 20) * (LARGE >> 20) + b"end"
    written = put(tree, "large", data)
    assert (written.size, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    with tree.open("large") as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == written.sha256


def test_everything_is_listed_in_the_order_of_its_paths_bytes(tree: Tree):
    given = ["a/b/c", "a/a", "b", "B", "a/d.jpg", "a/c/original", "a/c/grid.jpg", "a1/x", "c/é", "z"]
    for path in given:
        put(tree, path)
    assert paths(tree) == sorted(given, key=str.encode)


def test_a_folder_lists_a_neighbour_of_a_folder_before_what_is_in_it(tmp_path: Path):
    tree = FolderTree(tmp_path)
    given = ["a/b/c", "a-b", "a.b", "a/a", "a0", "a/b-c", "a/b.c/d"]
    for path in given:
        put(tree, path)
    assert paths(tree) == sorted(given, key=str.encode)


def test_below_a_folder_only_what_is_below_it_is_listed(tree: Tree):
    for path in ("ab", "a/b", "a/c/d", "aa/b", "a-b/c"):
        put(tree, path)
    assert paths(tree, "a") == ["a/b", "a/c/d"]
    assert paths(tree, "nothing/here") == []


def test_nothing_was_written_yet(tree: Tree):
    assert paths(tree) == []
    assert tree.head("a/b") is None
    with pytest.raises(BlobMissingError):
        tree.open("a/b")
    tree.remove("a/b")


@pytest.mark.parametrize("before", [100, LARGE])
def test_a_write_whose_stream_fails_leaves_what_was_there(tree: Tree, before: int):
    put(tree, "a/b", b"as it was")
    for path in ("a/b", "a/c", "new/d"):
        with pytest.raises(RuntimeError, match="torn"):
            tree.write(path, Rehearsed(before, RuntimeError("torn")))  # type: ignore[arg-type]
    with tree.open("a/b") as stream:
        assert stream.read() == b"as it was"
    assert paths(tree) == ["a/b"]


def test_what_is_written_again_takes_the_place_of_what_was(tree: Tree):
    put(tree, "a", b"one")
    put(tree, "a", b"another")
    with tree.open("a") as stream:
        assert stream.read() == b"another"
    assert [found.size for found in tree.objects()] == [7]


def test_what_is_removed_is_gone_and_its_neighbours_stay(tree: Tree):
    for path in ("a/b/c", "a/d"):
        put(tree, path)
    tree.remove("a/b/c")
    tree.remove("a/b/c")
    assert paths(tree) == ["a/d"]
    assert tree.head("a/b/c") is None


BAD = ["", "/a", "a/", "a//b", "./a", "a/./b", "../a", "a/../b", "..", "a\nb", "a\0b", "a/.vitrine-draft-1"]


def test_what_is_no_relative_path_is_refused(tree: Tree):
    for path in BAD:
        for refuses in (tree.head, tree.open, tree.remove, lambda bad: put(tree, bad)):
            with pytest.raises(ValueError, match="not a path"):
                refuses(path)
        if path:
            with pytest.raises(ValueError, match="not a path"):
                list(tree.objects(path))


def test_trees_of_one_bucket_see_what_is_below_their_prefix(object_store: ObjectStore):
    bucket = object_store.make_bucket()
    settings = settings_of(object_store)
    one, other, whole = (tree_from_url(f"s3://{bucket}{at}", settings=settings) for at in ("/a", "/ab/", ""))
    put(one, "x")
    assert (paths(one), paths(other), paths(whole)) == (["x"], [], ["a/x"])
    assert [tree.url for tree in (one, other, whole)] == [
        f"s3://{bucket}/a",
        f"s3://{bucket}/ab",
        f"s3://{bucket}",
    ]


@pytest.fixture
def no_bucket(object_store: ObjectStore) -> Iterator[Tree]:
    return tree_from_url("s3://no-such-bucket-here/x", settings=settings_of(object_store))


def test_a_missing_bucket_is_an_outage_and_no_empty_place(no_bucket: Tree):
    for asks in (
        lambda: list(no_bucket.objects()),
        lambda: no_bucket.head("a"),
        lambda: no_bucket.open("a"),
        lambda: put(no_bucket, "a"),
    ):
        with pytest.raises(BlobStoreDownError, match="no-such-bucket-here"):
            asks()


def test_an_object_that_is_gone_while_it_is_read_is_missing(tree: Tree):
    put(tree, "a", b"first")
    with tree.open("a") as stream:
        tree.remove("a")
        try:
            assert stream.read() == b"first"  # a folder's file stays as long as it is open
        except BlobMissingError:
            assert not isinstance(tree, FolderTree)


def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    tree = FolderTree(tmp_path / "file" / "tree")
    with pytest.raises(BlobStoreDownError):
        put(tree, "a")


def test_links_and_drafts_in_a_folder_are_not_listed(tmp_path: Path):
    tree = FolderTree(tmp_path)
    put(tree, "a/b")
    (tmp_path / "a" / ".vitrine-draft-0").write_bytes(b"half")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "file").symlink_to(tmp_path / "a" / "b")
    assert paths(tree) == ["a/b"]


def test_removing_takes_empty_folders_along_but_not_the_place(tmp_path: Path):
    tree = FolderTree(tmp_path / "place")
    put(tree, "a/b/c")
    tree.remove("a/b/c")
    assert list((tmp_path / "place").iterdir()) == []


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_has_several_names(tmp_path: Path, form: str):
    tree = tree_from_url(form.format(tmp_path))
    assert isinstance(tree, FolderTree)
    assert tree.url == str(tmp_path)


@pytest.mark.parametrize(
    "url", ["", "ftp://host/path", "s3://", "s3:bucket", "s3://bucket/a?b=c", "file://host/path"]
)
def test_what_names_no_place_is_refused(url: str):
    with pytest.raises(ValueError, match="not a place for files"):
        tree_from_url(url)
