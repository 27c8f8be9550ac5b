"""The loop of training on a tiny network."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.config import Config, ConfigError, Training
from model_training.training.checkpoints import FILE, CheckpointError, load_checkpoint
from model_training.training.devices import is_chief, open_devices
from model_training.training.loop import TrainingError
from tests.plugins.tiny_trainings import (
    StoppedError,
    tiny_config,
    tiny_network,
    tiny_pictures,
    train_tiny,
    training,
    without_seconds,
)

Weights = tuple[NDArray[Any], ...]
AUGMENTED = {"size": 32, "batch": 16, "augment": {"flip": True, "mixup": 0.2}}


def same(first: Weights, second: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def worker(folder: Path, config: Config, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process that trains."""
    file = folder.with_suffix(".json")
    file.write_text(config.model_dump_json(), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "tests.plugins.tiny_trainings", folder, file, *arguments],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train_tiny(tmp_path_factory.mktemp("uninterrupted"), tiny_config())


def test_a_run_that_was_killed_goes_on_bit_for_bit_as_if_it_had_not_been(
    tmp_path: Path, uninterrupted: Any
) -> None:
    killed = worker(tmp_path / "run", tiny_config(), "kill", "4")
    _, said = killed.communicate(timeout=240)
    assert killed.returncode == -signal.SIGKILL, said
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert checkpoint is not None
    assert (checkpoint.progress.epochs, checkpoint.progress.phase) == (3, 1)

    progress, weights = train_tiny(tmp_path / "run", tiny_config(), resume=True)
    assert same(weights, uninterrupted[1])
    assert without_seconds(progress) == without_seconds(uninterrupted[0])
    end = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert end is not None
    assert end.progress.epochs == 4


def test_augmented_pictures_and_the_first_phase_go_on_bit_for_bit_too(tmp_path: Path) -> None:
    config = tiny_config(input=AUGMENTED, training=training(head=3, fine_tune=0))
    whole = train_tiny(tmp_path / "whole", config)
    with pytest.raises(StoppedError):
        train_tiny(tmp_path / "parts", config, stop=(2, None))
    progress, weights = train_tiny(tmp_path / "parts", config, resume=True)
    assert same(weights, whole[1])
    assert without_seconds(progress) == without_seconds(whole[0])


def test_a_finished_run_that_is_resumed_stays_as_it_is(tmp_path: Path) -> None:
    config = tiny_config(training=training(head=1, fine_tune=0))
    first = train_tiny(tmp_path, config)
    again = train_tiny(tmp_path, config, resume=True)
    assert same(first[1], again[1])
    assert first[0].history == again[0].history


def test_the_head_learns_first_then_the_upper_layers_and_never_batch_norm(uninterrupted: Any) -> None:
    progress, weights = uninterrupted
    assert [entry["phase"] for entry in progress.history] == ["head", "head", "fine-tune", "fine-tune"]
    assert progress.best_epoch > 2, "the fixture is meant to get better by fine-tuning"
    from keras import utils  # noqa: PLC0415 - TensorFlow is set up first

    utils.set_random_seed(0)
    network = tiny_network()
    changed = {
        weight.path
        for weight, trained in zip(network.whole.weights, weights, strict=True)
        if not np.array_equal(weight.numpy(), trained)
    }
    assert changed == {"conv1/kernel", "conv2/kernel", "logits/kernel", "logits/bias"}


def test_training_ends_when_nothing_gets_better_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    pictures = tiny_pictures()
    # What is learned is wrong for validation, so that every epoch makes it worse.
    targets = pictures.targets.copy()
    targets[pictures.validation] = 1 - targets[pictures.validation]
    contrary = replace(pictures, targets=targets)
    patient = training(head=9, fine_tune=0)
    patient["head"] = {**patient["head"], "patience": 2}
    progress, weights = train_tiny(tmp_path / "stopped", tiny_config(training=patient), contrary)
    measured = [entry["validation_map"] for entry in progress.history]
    best = measured.index(max(measured)) + 1
    assert len(measured) == best + 2 < 9
    assert (progress.best_epoch, progress.best) == (best, max(measured))
    patient["head"] = {**patient["head"], "epochs": best}
    _, expected = train_tiny(tmp_path / "short", tiny_config(training=patient), contrary)
    assert same(weights, expected)


def test_without_pictures_to_choose_by_the_last_epoch_is_kept(tmp_path: Path) -> None:
    pictures = tiny_pictures()
    none = replace(pictures, validation=pictures.validation[:0])
    progress, _ = train_tiny(tmp_path, tiny_config(training=training(head=2, fine_tune=0)), none)
    assert (progress.best, progress.best_epoch) == (None, 2)
    assert [entry["validation_map"] for entry in progress.history] == [None, None]


def test_what_is_unknown_teaches_nothing(tmp_path: Path) -> None:
    pictures = tiny_pictures()
    other = replace(pictures, targets=np.where(pictures.known == 0, 1 - pictures.targets, pictures.targets))
    config = tiny_config(training=training(head=1, fine_tune=1))
    _, weights = train_tiny(tmp_path / "one", config, pictures)
    _, others = train_tiny(tmp_path / "other", config, other)
    assert same(weights, others)


def test_a_strategy_on_one_device_learns_the_same(tmp_path: Path, uninterrupted: Any) -> None:
    config = tiny_config(training=training(distribute="mirrored"))
    _, weights = train_tiny(tmp_path, config)
    for found, expected in zip(weights, uninterrupted[1], strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_run_of_another_configuration_is_not_gone_on_with(tmp_path: Path) -> None:
    train_tiny(tmp_path, tiny_config(training=training(head=1, fine_tune=0)))
    with pytest.raises(CheckpointError, match="started with another configuration"):
        train_tiny(tmp_path, tiny_config(training=training(head=2, fine_tune=0)), resume=True)


def test_a_damaged_checkpoint_is_refused_by_its_name(tmp_path: Path) -> None:
    config = tiny_config(training=training(head=1, fine_tune=0))
    train_tiny(tmp_path, config)
    path = tmp_path / "checkpoints" / FILE
    content = bytearray(path.read_bytes())
    # Inside an array: between them a zip has bytes that mean nothing.
    content[content.index(b"NUMPY", len(content) // 2)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.npz is damaged"):
        train_tiny(tmp_path, config, resume=True)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    wild = training(head=2, fine_tune=0)
    wild["head"] = {"epochs": 2, "learning_rate": 1e38}
    with pytest.raises(TrainingError, match="a lower learning rate"):
        train_tiny(tmp_path, tiny_config(training=wild))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs TF_CONFIG"),
        ("{}", "needs TF_CONFIG"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "which of them this is"),
        ('{"cluster": {"ps": [], "worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "workers only"),
    ],
)
def test_several_workers_need_a_cluster(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=said):
        open_devices(Training(distribute="multi-worker"), batch=16)


def test_the_first_worker_writes_and_so_does_whoever_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"worker": ["a:1", "b:1"]}
    several = Training(distribute="multi-worker")
    for index, writes in ((0, True), (1, False)):
        task = {"type": "worker", "index": index}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        assert is_chief(several) is writes
        assert is_chief(Training())


@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_only_the_first_writes(tmp_path: Path) -> None:
    sections = {"network": {"dropout": 0}, "training": training(head=1, fine_tune=1)}
    _, alone = train_tiny(tmp_path / "alone", tiny_config(**sections))
    together = {
        "network": {"dropout": 0},
        "training": training(head=1, fine_tune=1, distribute="multi-worker"),
    }
    with socket.socket() as first, socket.socket() as second:
        for held in (first, second):
            held.bind(("127.0.0.1", 0))
        ports = [held.getsockname()[1] for held in (first, second)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    processes = [
        worker(
            tmp_path / f"worker{index}",
            tiny_config(**together),
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in (0, 1)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=240)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
    assert load_checkpoint(tmp_path / "worker0" / "checkpoints") is not None
    assert not (tmp_path / "worker1" / "checkpoints").exists()
    for index in (0, 1):
        with np.load(tmp_path / f"worker{index}" / "weights.npz") as arrays:
            for name, expected in zip(arrays.files, alone, strict=True):
                assert arrays[name] == pytest.approx(expected, abs=1e-4)
