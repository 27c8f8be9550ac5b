"""What a migration may do beside the code of the release before, and what the check says of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres import operations as postgres
from django.contrib.postgres.fields import ArrayField
from django.db import connection, migrations, models
from django.db.migrations.state import ProjectState
from django.db.models.functions import Upper

from tests.upgrade.migration_rules import digest, file_problems, problems

_RUNNING = (0, 4)


def before() -> ProjectState:
    """Models of an app with a table of books and one of shelves."""
    state = ProjectState()
    for operation in (
        migrations.CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True))]),
        migrations.CreateModel(
            "Book",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=50)),
                ("note", models.TextField(null=True)),
                ("pages", models.IntegerField(db_default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["title"], name="title_unique"),
                    models.CheckConstraint(condition=models.Q(pages__gte=0), name="pages_are_some"),
                ],
                "indexes": [models.Index(fields=["pages"], name="by_pages")],
            },
        ),
    ):
        operation.state_forwards("library", state)
    return state


def said(*operations: Any, **attributes: Any) -> str:
    """All that is wrong with a migration of these operations."""
    body = {"operations": list(operations), **attributes}
    migration = type("Migration", (migrations.Migration,), body)("0002_more", "library")
    return "\n".join(problems(migration, before(), connection, _RUNNING))


SHELF = models.ForeignKey("library.Shelf", models.CASCADE, null=True)
SAFE = {
    "a new table, with whatever it has": [
        migrations.CreateModel("Loan", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("loan", "day", models.DateField()),
        migrations.AddIndex("loan", models.Index(fields=["day"], name="by_day")),
    ],
    "a column that may be empty": [migrations.AddField("book", "isbn", models.CharField(null=True))],
    "a column that the server fills": [
        migrations.AddField("book", "lent", models.BooleanField(db_default=False))
    ],
    "a longer text": [migrations.AlterField("book", "title", models.CharField(max_length=80))],
    "a text without end": [migrations.AlterField("book", "title", models.TextField())],
    "a column that may be empty from now on": [
        migrations.AlterField("book", "title", models.CharField(max_length=50, null=True))
    ],
    "another help": [
        migrations.AlterField("book", "note", models.TextField(null=True, help_text="Of readers."))
    ],
    "a check that goes": [migrations.RemoveConstraint("book", "pages_are_some")],
    "many to many": [migrations.AddField("book", "shelves", models.ManyToManyField("library.Shelf"))],
    "data that can be left": [migrations.RunPython(lambda *_: None, migrations.RunPython.noop)],
}


@pytest.mark.parametrize("what", SAFE)
def test_what_older_code_does_not_notice_is_fine(what: str) -> None:
    assert said(*SAFE[what]) == ""


def test_an_index_beside_work_is_fine_alone_and_without_a_transaction() -> None:
    index = postgres.AddIndexConcurrently("book", models.Index(fields=["title"], name="by_title"))
    assert said(index, atomic=False) == ""
    other = postgres.AddIndexConcurrently("book", models.Index(fields=["note"], name="by_note"))
    assert "one operation" in said(index, other, atomic=False)
    column = migrations.AddField("book", "isbn", models.CharField(null=True))
    assert "only what works CONCURRENTLY" in said(column, atomic=False)


TAKES_AWAY = {
    "book.note": [migrations.RemoveField("book", "note")],
    "shelf": [migrations.DeleteModel("Shelf")],
    "book.pages": [migrations.AlterField("book", "pages", models.IntegerField())],
    "by_pages": [migrations.RemoveIndex("book", "by_pages")],
    "title_unique": [migrations.RemoveConstraint("book", "title_unique")],
    "short": [
        postgres.AddConstraintNotValid(
            "book", models.CheckConstraint(condition=models.Q(pages__lt=9), name="short")
        )
    ],
}


@pytest.mark.parametrize("what", TAKES_AWAY)
def test_what_older_code_uses_is_taken_away_a_release_after_the_last_that_does(what: str) -> None:
    operations = TAKES_AWAY[what]
    assert f"in `contracts['{what}']`" in said(*operations)
    assert said(*operations, contracts={what: "0.3: nothing asks for it"}) == ""
    assert "pods of 0.4 run while" in said(*operations, contracts={what: "0.4: nothing asks for it"})
    assert "has to begin with the last release" in said(*operations, contracts={what: "nobody needs it"})


LOCKS = {
    "by_title": [migrations.AddIndex("book", models.Index(fields=["title"], name="by_title"))],
    "book.shelf": [migrations.AddField("book", "shelf", SHELF)],
    "book.code": [migrations.AddField("book", "code", models.CharField(null=True, unique=True))],
    "book.loud": [
        migrations.AddField(
            "book",
            "loud",
            models.GeneratedField(
                expression=Upper("title"), output_field=models.CharField(max_length=50), db_persist=True
            ),
        )
    ],
    "sql": [migrations.RunSQL("UPDATE library_book SET note = ''", migrations.RunSQL.noop)],
}


@pytest.mark.parametrize("what", LOCKS)
def test_what_holds_a_lock_for_as_long_as_it_takes_needs_a_reason(what: str) -> None:
    assert f"in `quick['{what}']`" in said(*LOCKS[what])
    assert said(*LOCKS[what], quick={what: "a hundred rows"}) == ""


NEVER = {
    "null=True, or a db_default": migrations.AddField("book", "isbn", models.CharField(default="")),
    "add the new one, copy": migrations.RenameField("book", "note", "remark"),
    "asks for the name of before": migrations.RenameModel("Book", "Volume"),
    "needs reverse_code": migrations.RunPython(lambda *_: None),
}


@pytest.mark.parametrize("sentence", NEVER)
def test_what_breaks_older_code_or_the_way_back_has_no_excuse(sentence: str) -> None:
    operation = NEVER[sentence]
    assert sentence in said(operation)
    assert sentence in said(operation, contracts={"book.note": "0.1: no"}, quick={"book.isbn": "few rows"})


def test_a_narrower_column_is_refused_on_both_counts() -> None:
    narrower = migrations.AlterField("book", "title", models.CharField(max_length=20))
    assert "in `contracts['book.title']`" in said(narrower)
    assert "in `quick['book.title']`" in said(narrower)
    other = migrations.AlterField("book", "pages", ArrayField(models.IntegerField(), db_default=[]))
    assert "IntegerField(pages, max_length=None) → ArrayField(pages" in said(other)
    required = migrations.AlterField("book", "note", models.TextField())
    assert "older code may write nothing into it" in said(required)


def test_a_field_is_given_up_by_the_models_first_and_by_the_table_two_releases_later() -> None:
    forget = migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("book", "title")])
    assert "new code inserts rows without it" in said(forget)
    forget = migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("book", "note")])
    assert said(forget) == ""
    drop = migrations.SeparateDatabaseAndState(database_operations=[migrations.RemoveField("book", "note")])
    assert "in `contracts['book.note']`" in said(drop)


def test_data_and_tables_are_not_changed_under_one_lock() -> None:
    column = migrations.AddField("book", "isbn", models.CharField(null=True))
    fill = migrations.RunPython(lambda *_: None, migrations.RunPython.noop)
    assert "two migrations" in said(column, fill)
    added = postgres.AddConstraintNotValid(
        "book", models.CheckConstraint(condition=models.Q(pages__lt=9), name="short")
    )
    validated = postgres.ValidateConstraint("book", "short")
    assert "migration of its own" in said(added, validated, contracts={"short": "0.2: books are short"})


def test_an_excuse_that_excuses_nothing_is_told_of() -> None:
    column = migrations.AddField("book", "isbn", models.CharField(null=True))
    assert said(column, quick={"book.ibsn": "few rows"}) == "quick['book.ibsn'] excuses nothing"


def test_only_what_a_migration_does_makes_it_another_one(tmp_path: Path) -> None:
    texts = ("x = 1\n", "# said again\nx  =  1\n", "x = 2\n", "from dam.assets.models import Asset\n")
    files = [tmp_path / f"{number}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    assert digest(files[0]) == digest(files[1]) != digest(files[2])
    assert [list(file_problems(file)) for file in files[2:]] == [
        [],
        ["it imports dam.assets.models, which goes on changing"],
    ]
