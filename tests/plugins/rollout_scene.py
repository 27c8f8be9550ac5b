"""A model of its own on a shared model server, in the session's registry, with a catalogue that stands in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import Any
from uuid import uuid4

from model_training.golden import write_golden
from model_training.mlflow_runtime import artifact_location, client, load_mlflow, tracking_uri
from model_training.registry.content import CONTENT, content_hash
from model_training.registry.versions import log_version, new_version
from model_training.rollout.acts import Act, Idle, Report
from model_training.rollout.controller import Controller
from model_training.rollout.looking import Surroundings
from model_training.rollout.setting_up import surroundings
from pipeline.telemetry.health import Health
from tests.plugins.finished_run import write_exported_version
from tests.plugins.model_server import ModelServer
from tests.plugins.processes import wait_for
from tests.plugins.rollout_catalogue import RolloutCatalogue, rollout_catalogue
from tests.plugins.tiny_models import LABELS, SIDE, OfficialClient

WITHIN_S = 240


@cache
def tiny_version(answer: float) -> Path:
    """The folder of a version as an export leaves it; ``answer`` is what it says of the first label."""
    folder = write_exported_version(Path(mkdtemp(prefix="vitrine-tiny-")) / "1", answer)
    tags = [{"slug": label, "name": label.title(), "threshold": 0.5} for label in LABELS]
    vocabulary = {"vocabulary_id": f"vocabulary-{answer}", "tags": tags}
    (folder / "assets.extra" / "vocabulary.json").write_text(json.dumps(vocabulary))
    write_golden(folder, height=SIDE, width=SIDE)
    return folder


@dataclass
class Scene:
    """One model and everything around it."""

    name: str
    base: Path
    models_config: Path
    servers: str
    catalogue: RolloutCatalogue
    official: OfficialClient

    def publish(self, number: int, answer: float) -> None:
        """Put a version at the base path by hand."""
        shutil.copytree(tiny_version(answer), self.base / str(number))

    def versions(self) -> list[str]:
        """What lies at the base path, without what a killed publication has left beside it."""
        return sorted(path.name for path in self.base.iterdir() if path.name.isdigit())

    def register(self, folder: Path, **tags: str) -> int:
        """Register a version folder; returns the registry's number."""
        mlflow, store = load_mlflow(), client()
        mlflow.set_tracking_uri(tracking_uri())
        facts = json.loads((folder / "assets.extra" / "model.json").read_text())
        experiment = store.get_experiment_by_name(self.name)
        number = (
            experiment.experiment_id
            if experiment
            else store.create_experiment(self.name, artifact_location())
        )
        with mlflow.start_run(experiment_id=number):
            model = log_version(mlflow, self.name, folder, facts, with_example=False)
        tags = {CONTENT: content_hash(folder), **tags}
        return new_version(store, self.name, model, tags=tags, description="")

    def aliases(self) -> dict[str, int]:
        aliases = client().get_registered_model(self.name).aliases
        return {alias: int(number) for alias, number in aliases.items()}

    def set_alias(self, alias: str, number: int) -> None:
        client().set_registered_model_alias(self.name, alias, str(number))

    def tags(self, number: int) -> dict[str, str]:
        return dict(client().get_model_version(self.name, str(number)).tags)

    def answers(self) -> dict[str, float]:
        """What the version under each label says of the first label."""
        labels = ("champion", "challenger", "predecessor")
        return {label: self.official.answered(name=self.name, label=label)[1] for label in labels}

    @contextmanager
    def surroundings(self) -> Iterator[Surroundings]:
        around = surroundings(
            models_config=str(self.models_config),
            base_path=str(self.base),
            served_as=None,
            model=self.name,
            model_servers=self.servers,
            catalogue=self.catalogue.address,
            token_file=self.catalogue.token_file,
        )
        try:
            yield around
        finally:
            around.close()

    def until_loaded(self, *numbers: int) -> None:
        """The server looks at its ``models.config`` now and again: wait until it has these and no others."""

        def loaded() -> bool:
            states = self.official.states(self.name)
            return {number for number, state in states.items() if state != "END"} == set(numbers)

        wait_for(loaded, WITHIN_S, f"{numbers} to be loaded and no others")

    def settle(self) -> None:
        """A controller that starts now works until nothing is under way."""
        with self.surroundings() as around:
            last = Controller(around, Health(max_silence_s=WITHIN_S)).settle(
                Event(), every_s=0.05, within_s=WITHIN_S
            )
        assert last == Idle()

    def options(self) -> list[str]:
        """For ``python -m model_training controller``."""
        return [
            *("--models-config", str(self.models_config), "--base-path", str(self.base)),
            *("--model", self.name, "--model-servers", self.servers, "--every", "0.05"),
            *("--catalogue", self.catalogue.address, "--token-file", str(self.catalogue.token_file)),
        ]

    def step(self) -> Act:
        """A controller that starts now reports, does one thing and is gone."""
        with self.surroundings() as around:
            controller = Controller(around, Health(max_silence_s=WITHIN_S))
            act = controller.step()
            return controller.step() if isinstance(act, Report) else act


@contextmanager
def scene(server: ModelServer, models_config: Path, work: Path) -> Iterator[Scene]:
    """Version 1 of a new model lies at its base path, and nothing more is known of it."""
    name = f"tagger-{uuid4().hex[:8]}"
    with rollout_catalogue(work) as catalogue, OfficialClient(server.address) as official:
        made = Scene(name, work / name, models_config, server.address, catalogue, official)
        made.publish(1, 0.1)
        yield made


def tell(scene: Scene) -> dict[str, Any]:
    """Everything that is so, to compare two ways of getting there."""
    return {
        "answers": scene.answers(),
        "aliases": scene.aliases(),
        "told": scene.catalogue.numbers(),
        "steps": [step["state"] for step in scene.catalogue.steps],
        "versions": scene.versions(),
    }
