"""``python -m dam.embedded``: the whole system on one machine, until Ctrl-C."""

from __future__ import annotations

import io
import sys

from dam.embedded.console import Teller
from dam.embedded.errors import EmbeddedError
from dam.embedded.start import EmbeddedSystem, end_leftovers, locked
from dam.embedded.state import home_folder


def main() -> int:
    """Run the embedded system; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character is no reason to fail.
        sys.stdout.reconfigure(errors="replace")
    tell = Teller()
    home = home_folder()
    try:
        with locked(home):
            end_leftovers(home)
            return EmbeddedSystem(home, tell).run()
    except EmbeddedError as error:
        tell.say(str(error), style="red")
        return 1


if __name__ == "__main__":
    sys.exit(main())
