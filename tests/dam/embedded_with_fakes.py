"""``python embedded_with_fakes.py``: the embedded system with stand-ins for its commands.

As a command it is the supervisor; with words it is one of the stand-ins, which does what
``FAKE_<WORD>`` says: ``fail``, ``stubborn``, ``endless``.
"""

from __future__ import annotations

import http.server
import os
import signal
import socket
import sys
import time
from pathlib import Path

from dam.embedded import __main__ as embedded
from dam.embedded import supervisor, system
from dam.embedded.processes import Program
from dam.embedded.state import ROOT
from dam.embedded.system import Layout

HOME = Path(os.environ["VITRINE_HOME"])


def note(text: str) -> None:
    with (HOME / "events").open("a") as file:
        print(text, file=file)


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def stop(_number: int, _frame: object) -> None:
    note(f"{name} stops")
    os._exit(0)


def stand_in(words: list[str]) -> None:
    behaviour = os.environ.get(f"FAKE_{name.upper()}", "")
    signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else stop)
    note(f"{name} starts")
    if behaviour == "fail":
        print(f"{name} cannot do this")
        sys.exit(1)
    if behaviour == "endless":
        while True:
            signal.pause()
    match words:
        case ["gunicorn", *options]:
            number = int(options[options.index("--bind") + 1].removeprefix("fd://"))
            server = http.server.HTTPServer(("", 0), Pages, bind_and_activate=False)
            server.socket.close()
            server.socket = socket.socket(fileno=number)
            server.serve_forever()
        case ["model_training", "serve", *options]:
            Path(options[options.index("--ready-file") + 1]).write_text("{}")
        case ["model_training", "build-default", "--to", folder]:
            version = Path(folder) / "tagger" / "1"
            version.mkdir(parents=True)
            (version / "saved_model.pb").touch()
            return
        case ["dam.cli", "sign_in_link", "--first-admin"]:
            print("/sign-in/link/once")
            return
        case ["dam.cli", "migrate" | "register_model" | "service_account", *_]:
            return
    while True:
        time.sleep(60)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        name = sys.argv[2] if sys.argv[1] in {"dam.cli", "model_training"} else sys.argv[1]
        stand_in(sys.argv[1:])
    else:

        def command(layout: Layout, *words: str) -> Program:
            return Program([sys.executable, __file__, *words], system.environment(layout), cwd=ROOT)

        system.command = command
        # What dies is started again at once, so that what keeps dying is given up soon.
        supervisor._FIRST_PAUSE_S = 0.02
        sys.exit(embedded.main())
