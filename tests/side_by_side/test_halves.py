"""The suite is cut into two halves."""

from __future__ import annotations

from pathlib import Path

from tests.side_by_side.halves import FIRST, in_halves, read_seconds, suite, write_seconds

_ROOT = Path(__file__).resolve().parents[2]


def test_every_test_file_is_in_one_half_and_what_starts_the_system_in_the_first() -> None:
    files = suite(_ROOT)
    first, second = in_halves(files, read_seconds())
    assert sorted(first + second) == files
    assert first
    assert second
    assert not [path for path in second if path.startswith(FIRST)]


def test_every_file_of_the_table_is_there() -> None:
    assert set(read_seconds()) - set(suite(_ROOT)) == set()


def test_the_halves_take_about_as_long_whatever_the_number_of_their_files() -> None:
    files = [f"tests/dam/test_{number}.py" for number in range(6)]
    assert in_halves(files, {files[0]: 30, files[1]: 26}) == (files[:1], files[1:])
    # The others count two seconds each.
    assert in_halves(files, {files[5]: 10}) == (files[:5], files[5:])
    assert in_halves(files, {}) == (files[:3], files[3:])


def test_files_that_start_the_system_stay_together_though_they_be_more_than_half() -> None:
    files = ["tests/dam/test_a.py", "tests/dam/test_embedded_b.py", "tests/e2e/test_c.py"]
    assert in_halves(files, dict.fromkeys(files, 10.0)) == (files[1:], files[:1])


def test_what_was_measured_is_kept_where_it_is_long(tmp_path: Path) -> None:
    table = tmp_path / "seconds.txt"
    write_seconds({"tests/a.py": 0.2, "tests/b.py": 12.4, "tests/c.py": 120.6, "tests/d.py": 2.2}, table)
    assert table.read_text() == " 121 tests/c.py\n  12 tests/b.py\n"
    assert read_seconds(table) == {"tests/b.py": 12, "tests/c.py": 121}
