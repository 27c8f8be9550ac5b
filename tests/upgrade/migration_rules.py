"""What a migration may do while the code of the release before goes on working with its tables.

The rules of docs/adr/0011, over the operations of a migration and the models as they were before it: no
database is asked. What is on the list ``landed.txt`` has been looked at, and is there for good.

A migration says of itself, as attributes of its class:

``contracts``
    what it takes from older code → ``"X.Y: why"``, X.Y being the last release that uses it;
``quick``
    what holds a lock for as long as it takes → why that is not long.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

OURS = "dam."
_RELEASE = re.compile(r"(\d+)\.(\d+): \S")
_WITHOUT_TRANSACTION = (postgres.AddIndexConcurrently, postgres.RemoveIndexConcurrently)
_UNSEEN = (ops.AlterModelOptions, ops.AlterModelManagers, ops.AlterModelTableComment)
"""Operations of which the database knows nothing, or nothing of weight."""


@dataclass
class _Reading:
    """One migration, as far as it has been read."""

    app: str
    migration: Migration
    state: ProjectState
    """Of before the next operation."""
    connection: BaseDatabaseWrapper
    running: tuple[int, int]
    """The release whose processes run while this is applied."""
    made: set[str] = field(default_factory=set)
    """Tables that it has made itself: nobody else knows them."""
    excused: set[tuple[str, str]] = field(default_factory=set)

    def contracted(self, what: str, problem: str) -> Iterator[str]:
        """A problem, unless the release before does without it."""
        said = self._excuse("contracts", what)
        if said is None:
            yield f"{problem}: not before a release that does without; then say so in `contracts[{what!r}]`"
        elif not (found := _RELEASE.match(said)):
            yield f"contracts[{what!r}] has to begin with the last release that uses it, as `0.3: why`"
        elif (int(found[1]), int(found[2])) >= self.running:
            yield f"contracts[{what!r}]: pods of {said.partition(':')[0]} run while this one is applied"

    def slow(self, what: str, problem: str) -> Iterator[str]:
        """A problem, unless it is over at once."""
        if not self._excuse("quick", what):
            yield f"{problem}; if that is over at once, say why in `quick[{what!r}]`"

    def _excuse(self, kind: str, what: str) -> str | None:
        self.excused.add((kind, what))
        said: Mapping[str, str] = getattr(self.migration, kind, {})
        return said.get(what)

    def field(self, model: str, name: str, *, after: ProjectState | None = None) -> models.Field[Any, Any]:
        """The field as it is before this operation, or after it."""
        found: Any = (after or self.state).apps.get_model(self.app, model)._meta.get_field(name)
        return found

    def column(self, of: models.Field[Any, Any]) -> tuple[str | None, str | None]:
        """Name and type."""
        return of.column, of.db_type(self.connection)


def problems(
    migration: Migration, before: ProjectState, connection: BaseDatabaseWrapper, running: tuple[int, int]
) -> list[str]:
    """What is wrong with a migration, in sentences.

    Args:
        migration: as it was loaded.
        before: the models of all migrations that it depends on.
        connection: of PostgreSQL; it is asked for types of columns, and not connected.
        running: the release before, whose processes run while it is applied: major and minor number.
    """
    reading = _Reading(migration.app_label, migration, before.clone(), connection, running)
    found = list(_of_the_whole(migration))
    for operation in migration.operations:
        found += _of(operation, reading)
        operation.state_forwards(reading.app, reading.state)
    for kind in ("contracts", "quick"):
        unused = {what for what in getattr(migration, kind, {}) if (kind, what) not in reading.excused}
        found += [f"{kind}[{what!r}] excuses nothing" for what in sorted(unused)]
    return found


def _of_the_whole(migration: Migration) -> Iterator[str]:
    kinds = {type(operation) for operation in migration.operations}
    code = {ops.RunPython, ops.RunSQL}
    if code & kinds and kinds - code - {ops.SeparateDatabaseAndState}:
        yield "data and tables are changed in two migrations: the locks would last as long as the data take"
    if not migration.atomic and len(migration.operations) > 1:
        yield "without a transaction there is one operation, so that one that was cut off can be repeated"
    if not migration.atomic and not kinds <= {*_WITHOUT_TRANSACTION, *code}:
        yield "only what works CONCURRENTLY or in portions goes without a transaction"
    if {postgres.AddConstraintNotValid, postgres.ValidateConstraint} <= kinds:
        yield "a constraint is validated in a migration of its own, after its lock is given back"


def _of(operation: Operation, reading: _Reading) -> Iterator[str]:
    if isinstance(operation, ops.CreateModel):
        reading.made.add(operation.name_lower)
        return
    if isinstance(operation, ops.SeparateDatabaseAndState):
        yield from _apart(operation, reading)
        return
    if isinstance(operation, _UNSEEN) or getattr(operation, "model_name_lower", "") in reading.made:
        return
    for kind, rule in _RULES.items():
        if type(operation) is kind:
            yield from rule(operation, reading)
            return
    yield from reading.slow(type(operation).__name__, f"nothing is known of {type(operation).__name__}")


# -------------------------------------------------------------------- fields


def _add_field(operation: ops.AddField, reading: _Reading) -> Iterator[str]:
    what = f"{operation.model_name_lower}.{operation.name}"
    added = operation.field
    if added.many_to_many:
        return
    if not added.null and added.db_default is NOT_PROVIDED and not added.generated:
        yield f"{what}: older code inserts rows without it: null=True, or a db_default"
    if added.unique:
        yield from reading.slow(what, f"{what}: the unique index is built under a lock")
    elif getattr(added, "db_index", False):
        yield from reading.slow(what, f"{what}: the index is built under a lock: AddIndexConcurrently later")
    elif getattr(added, "db_constraint", False):
        yield from reading.slow(what, f"{what}: the foreign key is checked under a lock")
    if added.generated:
        yield from reading.slow(what, f"{what}: every row is written anew under a lock")


def _alter_field(operation: ops.AlterField, reading: _Reading) -> Iterator[str]:
    what = f"{operation.model_name_lower}.{operation.name}"
    after = reading.state.clone()
    operation.state_forwards(reading.app, after)
    old = reading.field(operation.model_name, operation.name)
    new = reading.field(operation.model_name, operation.name, after=after)
    if reading.column(old) != reading.column(new) and not _is_wider(old, new):
        yield from reading.contracted(what, f"{what} gets another column: {_told(old)} → {_told(new)}")
        yield from reading.slow(what, f"{what}: every row may be written anew under a lock")
    if old.null and not new.null:
        yield from reading.contracted(what, f"{what}: older code may write nothing into it")
        yield from reading.slow(what, f"{what}: every row is looked at under a lock")
    if old.db_default is not NOT_PROVIDED and new.db_default is NOT_PROVIDED and not new.null:
        yield from reading.contracted(what, f"{what} loses its default, which older code may count on")
    if new.unique and not old.unique:
        yield from reading.contracted(what, f"{what}: older code may write equal ones")
        yield from reading.slow(what, f"{what}: the unique index is built under a lock")
    for option, problem in (
        ("db_index", "the index is built under a lock: AddIndexConcurrently"),
        ("db_constraint", "the foreign key is checked under a lock"),
    ):
        if getattr(new, option, False) and not getattr(old, option, False):
            yield from reading.slow(what, f"{what}: {problem}")


def _is_wider(old: models.Field[Any, Any], new: models.Field[Any, Any]) -> bool:
    """Whether the same column merely takes longer texts, for which PostgreSQL touches no row."""
    texts = (models.CharField, models.TextField)
    if old.column != new.column or not (isinstance(old, texts) and isinstance(new, texts)):
        return False
    return new.max_length is None or (old.max_length is not None and new.max_length >= old.max_length)


def _told(of: models.Field[Any, Any]) -> str:
    return f"{type(of).__name__}({of.column}, max_length={of.max_length})"


def _remove_field(operation: ops.RemoveField, reading: _Reading) -> Iterator[str]:
    what = f"{operation.model_name_lower}.{operation.name}"
    yield from reading.contracted(what, f"{what} is taken away: older code asks for it in every query")


def _rename_field(operation: ops.RenameField, reading: _Reading) -> Iterator[str]:
    del reading
    what = f"{operation.model_name_lower}.{operation.old_name}"
    yield f"{what} is renamed: add the new one, copy, and take the old one away in a later release"


# ------------------------------------------------------- tables and the rest


def _delete_model(operation: ops.DeleteModel, reading: _Reading) -> Iterator[str]:
    what = operation.name_lower
    yield from reading.contracted(what, f"the table of {what} is taken away")


def _rename_model(operation: ops.RenameModel | ops.AlterModelTable, reading: _Reading) -> Iterator[str]:
    del reading
    yield f"{operation.describe()}: older code asks for the name of before"


def _add_index(operation: ops.AddIndex, reading: _Reading) -> Iterator[str]:
    what = str(operation.index.name)
    yield from reading.slow(what, f"{what} is built while writing waits: AddIndexConcurrently")


def _remove_index(
    operation: ops.RemoveIndex | postgres.RemoveIndexConcurrently, reading: _Reading
) -> Iterator[str]:
    yield from reading.contracted(operation.name, f"{operation.name}: older code may be slow without it")


def _add_constraint(operation: ops.AddConstraint, reading: _Reading) -> Iterator[str]:
    what = operation.constraint.name
    yield from reading.contracted(what, f"{what}: older code may write what it forbids")
    if type(operation) is ops.AddConstraint:
        better = "AddConstraintNotValid and, in the next migration, ValidateConstraint"
        yield from reading.slow(what, f"{what}: every row is looked at under a lock: {better}")


def _remove_constraint(operation: ops.RemoveConstraint, reading: _Reading) -> Iterator[str]:
    options = reading.state.models[reading.app, operation.model_name_lower].options
    found = next(each for each in options["constraints"] if each.name == operation.name)
    if not isinstance(found, models.CheckConstraint):
        yield from reading.contracted(operation.name, f"{operation.name}: older code may count on it")


def _run_python(operation: ops.RunPython, reading: _Reading) -> Iterator[str]:
    del reading
    if operation.reverse_code is None and not operation.elidable:
        yield "RunPython needs reverse_code (RunPython.noop at least), or elidable=True"


def _run_sql(operation: ops.RunSQL, reading: _Reading) -> Iterator[str]:
    if operation.reverse_sql is None and not operation.elidable:
        yield "RunSQL needs reverse_sql (RunSQL.noop at least), or elidable=True"
    yield from reading.slow("sql", "nobody can see what locks RunSQL takes, or what it takes away")


def _apart(operation: ops.SeparateDatabaseAndState, reading: _Reading) -> Iterator[str]:
    """The tables' side is held to the rules; a field that only the models forget has to fill itself."""
    for each in operation.database_operations:
        yield from _of(each, reading)
    for each in operation.state_operations:
        if isinstance(each, ops.RemoveField) and each not in operation.database_operations:
            old = reading.field(each.model_name, each.name)
            if not old.null and old.db_default is NOT_PROVIDED:
                what = f"{each.model_name_lower}.{each.name}"
                yield f"{what}: new code inserts rows without it: null=True or a db_default before that"


def _nothing(operation: Operation, reading: _Reading) -> Iterator[str]:
    del operation, reading
    yield from ()


_RULES: Mapping[type[Operation], Callable[[Any, _Reading], Iterator[str]]] = {
    ops.AddField: _add_field,
    ops.AlterField: _alter_field,
    ops.RemoveField: _remove_field,
    ops.RenameField: _rename_field,
    ops.DeleteModel: _delete_model,
    ops.RenameModel: _rename_model,
    ops.AlterModelTable: _rename_model,
    ops.AddIndex: _add_index,
    ops.RemoveIndex: _remove_index,
    ops.RenameIndex: _nothing,
    ops.AddConstraint: _add_constraint,
    ops.RemoveConstraint: _remove_constraint,
    ops.RunPython: _run_python,
    ops.RunSQL: _run_sql,
    postgres.AddIndexConcurrently: _nothing,
    postgres.RemoveIndexConcurrently: _remove_index,
    postgres.AddConstraintNotValid: _add_constraint,
    postgres.ValidateConstraint: _nothing,
}


# -------------------------------------------------------------------- files


def file_problems(file: Path) -> Iterator[str]:
    """What the text of a migration imports of ours: code goes on, and a migration stays."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (
            f"it imports {name}, which goes on changing"
            for name in names
            if name.split(".")[0] in {"dam", "pipeline", "workers", "model_training"}
        )


def digest(file: Path) -> str:
    """Of what a migration does: formatting and comments do not count."""
    return hashlib.sha256(ast.dump(ast.parse(file.read_text(encoding="utf-8"))).encode()).hexdigest()[:16]
