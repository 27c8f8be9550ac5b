"""A secret stands in the environment or in a file that the environment names, and in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.secret_files import SecretFileError, read_secret_file, secret, secret_source


def test_a_secret_comes_from_its_variable_or_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k3y with spaces\r\n")
    in_a_file = {"KEY_FILE": str(tmp_path / "key"), "KEY": ""}

    assert secret("KEY", {"KEY": "k3y"}) == "k3y"
    assert secret("KEY", in_a_file) == "k3y with spaces"
    assert secret("KEY", {"KEY_FILE": ""}) == ""
    assert [secret_source("KEY", one) for one in ({"KEY": "k"}, in_a_file, {})] == ["KEY", "KEY_FILE", ""]


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k3y")
    twice = {"KEY": "an0ther", "KEY_FILE": str(tmp_path / "key")}

    for ask in (secret, secret_source):
        with pytest.raises(SecretFileError, match="set KEY or KEY_FILE, not both") as caught:
            ask("KEY", twice)
        assert "k3y" not in str(caught.value)
        assert "an0ther" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b" \n", "empty file"),
        (b"k3y\nof two lines\n", "more than one line"),
        (b"k3y\0", "more than one line"),
        (b"k3y\xff", "is no text"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_its_content(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SecretFileError, match=says) as caught:
        read_secret_file(path, "KEY_FILE")

    assert str(caught.value).startswith("KEY_FILE ")
    assert str(path) in str(caught.value)
    assert "k3y" not in str(caught.value)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """What a container mounts where the file on the host is missing."""
    with pytest.raises(SecretFileError, match="Is a directory"):
        read_secret_file(tmp_path, "KEY_FILE")
