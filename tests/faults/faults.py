"""The faults. Each is a generator with one ``yield``.

Before it: what has to be prepared while nothing is imported. After it, while pictures come in: the harm,
and its healing. When it ends, everything is as it should be again, and the clock of the recovery starts.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from pipeline.topology import RESULTS
from tests.faults.scene import Scene, StuckError
from tests.plugins.kept import KeptProcess

_DIES_WITHIN_S = 120


@dataclass(frozen=True)
class Fault:
    """``name``: for people. ``harm``: see above. ``share``: of the pictures, in relation to the others."""

    name: str
    harm: Callable[[Scene], Iterator[None]]
    share: int = 1


def worker_killed(scene: Scene) -> Iterator[None]:
    # A model server that does not move keeps the batch in the middle for as long as it takes to look.
    scene.plant.model_server.pause()
    try:
        yield
        scene.workers_hold(len(scene.plant.workers))
        _killed_and_back(scene.chance.choice(scene.plant.workers))
    finally:
        scene.plant.model_server.resume()


def broker_killed(scene: Scene) -> Iterator[None]:
    yield
    scene.at_work()
    scene.plant.node.crash()
    scene.plant.node.start()


def model_server_stopped(scene: Scene) -> Iterator[None]:
    yield
    scene.at_work()
    scene.stop(scene.plant.model_server)
    scene.outage(20)
    scene.plant.start_model_server()


def database_stopped(scene: Scene) -> Iterator[None]:
    yield
    scene.at_work()
    scene.plant.postgres.stop()
    scene.outage(10)
    scene.plant.postgres.start()


def object_store_killed(scene: Scene) -> Iterator[None]:
    yield
    scene.at_work()
    scene.plant.objects.crash()
    scene.outage(10)
    scene.plant.objects.start()


def connection_cut(scene: Scene) -> Iterator[None]:
    """Neither the worker nor the broker is told; both have to find out."""
    yield
    scene.at_work()
    proxy = scene.chance.choice(scene.plant.proxies)
    # After an outage a worker may still be waiting before it tries again.
    scene.wait(lambda: proxy.cut() > 0, 120, "a connection of the worker that can be cut")


def results_queue_filled(scene: Scene) -> Iterator[None]:
    """With nobody to empty it, a small limit is soon reached: the workers have to hold back."""
    node, writer = scene.plant.node, scene.plant.writer
    limit = max(1, scene.part_size // 10)
    scene.stop(writer)
    node.limit_queue(f"^{RESULTS.replace('.', '[.]')}$", max_length=limit)
    yield
    refusals = _refusals(scene)
    scene.wait(lambda: _refusals(scene) > refusals, 180, f"a worker whose answers were refused ({limit})")
    scene.outage(5)
    taken = _ready(scene, RESULTS)
    scene.note(f"limit of {limit}, {taken} answers in the queue, {scene.open_jobs() - taken} held back")
    # It empties the queue while the limit still holds, so the workers have to come back by themselves.
    writer.start()
    scene.wait(lambda: _ready(scene, RESULTS) < limit, 180, "room in the queue of answers")
    node.unlimit_queue()


def relay_killed_before_commit(scene: Scene) -> Iterator[None]:
    relay = scene.plant.relay
    scene.stop(relay)
    yield
    # It finds many jobs at once, so many are confirmed and not marked.
    part = scene.imports[-1]
    scene.wait(lambda: part.done, 180, "the import of jobs that nobody takes to the broker")
    _dies_at_its_point(scene, relay, "tests.faults.launch_relay")


def writer_killed_before_ack(scene: Scene) -> Iterator[None]:
    writer = scene.plant.writer
    scene.stop(writer)
    yield
    wanted = scene.part_size // 2
    scene.wait(lambda: _ready(scene, RESULTS) >= wanted, 180, f"{wanted} answers in their queue")
    _dies_at_its_point(scene, writer, "tests.faults.launch_writer")


FAULTS = (
    Fault("kill -9 a worker in the middle of a batch", worker_killed),
    Fault("kill -9 and restart the broker", broker_killed),
    Fault("stop the model server for 20 s", model_server_stopped),
    Fault("stop the database for 10 s", database_stopped),
    Fault("cut a worker's connections to the broker without closing them", connection_cut),
    Fault("fill the queue of results", results_queue_filled, share=3),
    Fault("kill -9 the relay between confirmation and commit", relay_killed_before_commit),
    Fault("kill -9 the writer between commit and acknowledgement", writer_killed_before_ack),
    Fault("kill -9 the object store for 10 s", object_store_killed),
)


def _killed_and_back(process: KeptProcess) -> None:
    starts = process.starts
    process.kill()
    process.wait_for_start(starts)


def _dies_at_its_point(scene: Scene, process: KeptProcess, launcher: str) -> None:
    """Start in place of a stopped process one that dies at the point; then comes the production command."""
    marker = scene.plant.home / f"reached-{uuid4().hex}"
    exits, starts = len(process.exits), process.starts
    process.start(once=[sys.executable, "-m", launcher, str(marker)])
    end = process.wait_for_exit(exits, _DIES_WITHIN_S)
    if end.code != -signal.SIGKILL or not marker.exists():
        raise StuckError(f"{process.name} ended with {end.code} elsewhere: {process.tail()}")
    scene.note(f"with {marker.read_text()} messages")
    process.wait_for_start(starts + 1)


def _refusals(scene: Scene) -> int:
    """How often a worker told that the queue of results takes no more."""
    return sum(worker.said().count(f"full: {RESULTS}") for worker in scene.plant.workers)


def _ready(scene: Scene, queue: str) -> int:
    depth = scene.depth(queue)
    return depth.ready if depth else 0
