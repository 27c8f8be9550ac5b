"""A ``vitrine`` command with the embedded database while nothing of Vitrine runs: started for it, and ended.

So a backup is made of a system that is stopped, and restored on a machine on which none has ever run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dam.embedded.errors import EmbeddedError
from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.start import end_leftovers, locked
from pipeline.secret_files import secret_source

RESTORE = "restore"
COMMANDS = frozenset({"backup", RESTORE})
_ASKS = frozenset({"--help", "-h"})


@contextmanager
def database_for(words: list[str], home: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the block with the embedded database, if the command needs it and it does not run.

    Args:
        words: of the command, its name first.
        home: VITRINE_HOME.
        environment: as the command has it; a database that it names is nobody's to start.

    Raises:
        EmbeddedError: Vitrine runs on this home, into which a backup is to be restored; or the database
            cannot be started.
    """
    if (
        not words
        or words[0] not in COMMANDS
        or _ASKS & set(words)
        or secret_source("DATABASE_URL", environment)
    ):
        yield
        return
    if words[0] != RESTORE and (not (home / "postgres").exists() or _runs(home)):
        # The one that runs serves a backup, too. Without any there is nothing to back up, as it will say.
        yield
        return
    with locked(home):
        end_leftovers(home)
        with EmbeddedPostgres(home):
            yield


def _runs(home: Path) -> bool:
    try:
        with locked(home):
            return False
    except EmbeddedError:
        return True
