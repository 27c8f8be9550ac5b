"""From decisions in the catalogue to a challenger, by one run of the DAG with the real commands."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection

from dam.assets.services import asset_create
from dam.tagging.models import Decision
from dam.tagging.services import decision_make
from dam.tagging.vocabulary import VocabularyEntry, vocabulary_register
from model_training.mlflow_runtime import client
from tests.plugins.airflow_runs import Airflow, vitrine_program, write_program
from tests.plugins.toy_pictures import LABELS, ToyPictures

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

TAGS = dict(zip(LABELS, ("beagle", "espresso", "lemon", "castle"), strict=True))
"""Shapes are decided on under names that the default model knows, so that there is something to compare."""

CONFIG = """\
name: toy
data:
  sources: [{{kind: decisions, file: replaced.jsonl, images: replaced}}]
  split: {{validation: 0.25, test: 0.25, seed: 1}}
input: {{size: 32, batch: 16}}
loss: {{kind: bce}}
training:
  regression: {{penalty: 0.1}}
evaluation: {{bootstrap: 20, threshold_precision: 0.5}}
tracking: {{experiment: toys, registered_model: {model}}}
"""


@pytest.fixture
def decided(toy_pictures: ToyPictures) -> int:
    """A catalogue with the toy pictures, on each label of which somebody decided."""
    person = User.objects.create_user("curator")
    entries = [VocabularyEntry(slug=tag, name=tag, threshold=0.5) for tag in TAGS.values()]
    vocabulary_register(entries=entries)
    tags = {tag.slug: tag for tag in _tags()}
    names = sorted(toy_pictures.labels)
    for name in names:
        stream = io.BytesIO((toy_pictures.images / name).read_bytes())
        asset = asset_create(stream=stream, filename=name, user=person).asset
        for label, tag in TAGS.items():
            there = label in toy_pictures.labels[name]
            verdict = Decision.Verdict.ADDED if there else Decision.Verdict.REJECTED
            decision_make(asset=asset, tag=tags[tag], verdict=verdict, user=person)
    return len(names)


def _tags():
    from dam.tagging.models import Tag  # noqa: PLC0415

    return Tag.objects.filter(slug__in=TAGS.values())


def database() -> str:
    name = connection.settings_dict["NAME"]
    return re.sub(r"^(\w+://[^/?]*)/[^?]*", rf"\1/{name}", os.environ["DATABASE_URL"])


def test_a_run_makes_a_challenger_of_decisions_and_its_tasks_can_be_run_again(
    airflow: Airflow, decided: int, model_dir: Path, local_mlflow: Path, tmp_path: Path
) -> None:
    model = f"toys-{uuid4().hex[:8]}"
    config = tmp_path / "retrain.yaml"
    config.write_text(CONFIG.format(model=model))
    # What makes a challenger of a version needs a catalogue that answers; the rest is real.
    python = write_program(
        tmp_path / "python",
        [
            f'if [ "$3" = challenge ]; then echo "$4" > {tmp_path}/challenged; exit 0; fi',
            f'exec "{sys.executable}" "$@"',
        ],
    )
    environment = {
        "DATABASE_URL": database(),
        "VITRINE_HOME": os.environ["VITRINE_HOME"],
        "VITRINE_BIN": vitrine_program(tmp_path / "vitrine"),
        "VITRINE_PYTHON": python,
    }
    params = {"config": str(config), "champion": str(model_dir / "tagger" / "1"), "min_map": 0.5}
    run = airflow.run("retrain", params, **environment)
    assert run.code == 0, run.log

    (folder,) = airflow.runs.glob("retrain_*")
    assert not set(folder.name) & set(":+ ")
    data = json.loads((folder / "prepared" / "dataset.json").read_text())
    assert len(data["examples"]) == decided
    verdict = json.loads((folder / "gate.json").read_text())
    assert {each["label"] for each in verdict["duel"]["labels"]} == set(TAGS.values())
    assert verdict["duel"]["ours"] > verdict["duel"]["theirs"]
    (version,) = client().search_model_versions(f"name = '{model}'")
    assert version.tags["data_hash"] == data["data_hash"]
    assert (tmp_path / "challenged").read_text() == f"{version.version}\n"

    for command in run.commands():
        if re.search(r" (export_claims|export|register) ", command):
            run_again = ["bash", "-c", command]
            subprocess.run(run_again, env=airflow.environment(environment), check=True, timeout=600)
    assert len(client().search_model_versions(f"name = '{model}'")) == 1
