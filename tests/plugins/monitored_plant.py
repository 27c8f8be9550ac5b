"""A whole system that a real Prometheus watches, with our rules in which time runs faster."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import requests
import trustme
from PIL import Image

from pipeline.ports import Message
from pipeline.topology import INTERACTIVE
from pipeline.transports import transport_from_url
from tests.deploy.monitoring_files import ALERTMANAGER, RULES
from tests.plugins.faster_rules import write_faster
from tests.plugins.photos import write_photos
from tests.plugins.plant import Plant
from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for
from tests.plugins.prometheus import Alertmanager, Prometheus

FACTOR = 30
"""Half an hour of our rules is a minute here: five minutes become ten seconds, and thirty seconds one."""

_EVERY_S = {
    "VITRINE_MONITOR_EVERY_S": "1",
    "VITRINE_MONITOR_LEDGER_EVERY_S": "2",
    "VITRINE_MONITOR_PLACES_EVERY_S": "2",
    "VITRINE_MONITOR_QUALITY_EVERY_S": "2",
}
_WITHIN_S = 180


class MonitoredPlant(Plant):
    """A plant with pages, monitor and controller, and one worker."""

    def __init__(self, home: Path, *, models: Path) -> None:
        self._stack_of_ours = contextlib.ExitStack()
        certificate_port = self._stack_of_ours.enter_context(_certificate_endpoint())
        variables = {**_EVERY_S, "VITRINE_MONITOR_CERTIFICATES": f"localhost:{certificate_port}"}
        super().__init__(home, models=models, workers=1, web=True, monitor=True, **variables)
        # The controller reads and writes it, and the model server follows it.
        self._models_config = self.home / "models.config"
        self._serve += ["--models-config", str(self._models_config)]
        (self.health_ports["controller"],) = free_ports(1)

    def __enter__(self) -> Self:
        self._stack.push(self._stack_of_ours)
        super().__enter__()
        token = self.home / "controller_token"
        self.vitrine(
            *("service_account", "controller", "--permission", "rollout.manage_rollout"),
            *("--token-file", str(token)),
        )
        command = [sys.executable, "-m", "model_training", "controller", "--base-path", str(self._models)]
        command += ["--models-config", str(self._models_config), "--catalogue", self.address]
        command += ["--token-file", str(token)]
        self.controller = self.keeper.add("controller", command, **self._health("controller"))
        self.controller.start()
        return self

    def poison(self, count: int) -> None:
        """Send messages that nobody can read to the queue of people's uploads."""
        with transport_from_url(self.node.url) as transport, transport.publisher() as publisher:
            publisher.publish([Message(INTERACTIVE, b"poison %d" % number) for number in range(count)])


class Work:
    """People and programs that use the system, until the block is left."""

    def __init__(self, plant: MonitoredPlant) -> None:
        self._plant = plant
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="work")
        self._api = plant.api()
        self.problem = ""
        """What went wrong in the thread."""

    def __enter__(self) -> Self:
        self._prepare()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._api.close()

    def _prepare(self) -> None:
        """An import, good and bad uploads, reviews, and a history of answers."""
        folder = self._plant.home / "import"
        write_photos(folder, 40, seed=3, long_side=320)
        self._plant.vitrine("import", str(folder), "--wait")
        good = (folder / "photo_0000.jpg").read_bytes()
        assert self._upload("again.jpg", good) in {200, 201}  # existing
        assert self._upload("text.jpg", b"no picture at all") == 415
        # Its header is fine and its end is missing.
        assert self._upload("corrupt.jpg", good[: len(good) // 2]) == 201
        self._review()
        self._remember()

    def _go_on(self) -> None:
        chance = random.Random(4)
        try:
            number = 0
            while not self._stop.wait(0.05):
                number += 1
                picture = np.array(
                    [[[chance.randrange(256) for _ in range(3)] for _ in range(8)] for _ in range(6)],
                    np.uint8,
                )
                path = self._plant.home / "upload.jpg"
                Image.fromarray(picture).resize((320, 240)).save(path)
                self._upload(f"upload_{number}.jpg", path.read_bytes())
                for question in ("assets/?q=flower", "assets/?limit=20", "tags/", "assets/999999999/"):
                    self._api.get(f"{self._plant.address}/api/v1/{question}", timeout=60)
                if number % 15 == 0:
                    self._import(number)
        except (requests.RequestException, AssertionError) as error:
            self.problem = str(error)

    def _import(self, number: int) -> None:
        folder = self._plant.home / f"import-{number}"
        write_photos(folder, 10, seed=number, long_side=320)
        self._plant.vitrine("import", str(folder))

    def _upload(self, name: str, data: bytes) -> int:
        address = f"{self._plant.address}/api/v1/assets/"
        return self._api.post(address, files={"file": (name, data)}, timeout=60).status_code

    def _review(self) -> None:
        """Judge what is suggested of the first pictures: of five tags four are right."""
        address = f"{self._plant.address}/api/v1/assets/"
        said = 0
        for asset in self._api.get(address, params={"limit": 40}, timeout=60).json()["results"]:
            for tag in asset["tags"][:4]:
                verdict = "rejected" if said % 5 == 0 else "accepted"
                decision = {"tag": tag["slug"], "verdict": verdict}
                answer = self._api.post(f"{address}{asset['id']}/decisions/", json=decision, timeout=60)
                assert answer.ok, answer.text
                said += 1
        assert said >= 60, f"{said} reviews are too few to tell the calibration"

    def _remember(self) -> None:
        """Answers of a year in which nothing changed: drift is told from 1,200 on."""
        self._plant.rows(
            "INSERT INTO tagging_prediction (asset_id, asset_version_id, model_version_id, generation,"
            " purpose, tag_ids, scores, created_at) SELECT asset_id, asset_version_id, model_version_id,"
            " generation + 1000 + copy, 'shadow', tag_ids, scores, now()"
            " FROM tagging_prediction, generate_series(1, 40) AS copy ORDER BY copy RETURNING id"
        )


@contextlib.contextmanager
def _certificate_endpoint() -> Iterator[int]:
    """A TLS server; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                plain, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@contextlib.contextmanager
def watched(plant: Plant, folder: Path) -> Iterator[tuple[Prometheus, Alertmanager]]:
    """Prometheus with our rules, :data:`FACTOR` times faster, and Alertmanager with our example."""
    rules = write_faster(RULES, folder / "rules", FACTOR)
    with (
        Alertmanager(folder / "alertmanager", ALERTMANAGER) as alertmanager,
        Prometheus(
            folder / "prometheus",
            rules=rules,
            targets=plant.targets(),
            alertmanager=alertmanager,
            labels={"vitrine": "test", "vitrine_docs": "https://docs.example.org/"},
        ) as prometheus,
    ):
        targets = sum(len(target["targets"]) for target in plant.targets())

        def all_answer() -> bool:
            return prometheus.value('sum(up{job="vitrine"})') == targets

        wait_for(all_answer, _WITHIN_S, f"every process to be scraped: {prometheus.query('up')}")
        yield prometheus, alertmanager


def describe(sample: dict[str, Any]) -> str:
    """A sample's labels and value, in a line."""
    labels = ", ".join(f"{name}={value}" for name, value in sorted(sample["metric"].items()))
    return f"{{{labels}}} {float(sample['value'][1]):.4g}"
