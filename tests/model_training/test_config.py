from __future__ import annotations

from pathlib import Path

import pytest

from model_training.config import Config, ConfigError, DecisionsSource, load_config, save_config

SMALLEST = """
name: toy
data:
  sources:
    - {kind: decisions, file: claims.jsonl, images: ../pictures}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def source(config: Config) -> DecisionsSource:
    (found,) = config.data.sources
    assert isinstance(found, DecisionsSource)
    return found


def test_relative_paths_are_relative_to_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    written(tmp_path / "configs", f"{SMALLEST}network: {{weights: own.weights.h5}}\n")
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("configs/config.yaml"))
    assert source(config).file == tmp_path / "configs" / "claims.jsonl"
    assert source(config).images.resolve() == tmp_path / "pictures"
    assert config.network.weights == tmp_path / "configs" / "own.weights.h5"


def test_absolute_paths_and_words_for_weights_stay_as_they_are(tmp_path: Path) -> None:
    text = SMALLEST.replace("claims.jsonl", "/elsewhere/claims.jsonl")
    config = load_config(written(tmp_path, f"{text}network: {{weights: random}}\n"))
    assert source(config).file == Path("/elsewhere/claims.jsonl")
    assert config.network.weights == "random"


def test_a_saved_configuration_is_read_as_the_same_one_from_anywhere(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, f"{SMALLEST}loss: {{kind: asymmetric, clip: 0.1}}\n"))
    (tmp_path / "run").mkdir()
    save_config(config, tmp_path / "run" / "config.yaml")
    assert load_config(tmp_path / "run" / "config.yaml") == config


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("loss: {kind: hinge}", "loss.kind: Input should be 'bce', 'focal' or 'asymmetric'"),
        ("training: {head: {epochs: 3}}", "training.head.learning_rate: Field required"),
        ("input: {sise: 260}", "input.sise: Extra inputs are not permitted"),
        ("input: {size: 31}", "input.size: Input should be greater than or equal to 32"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path: Path, added: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(written(tmp_path, f"{SMALLEST}{added}\n"))
    assert said in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"name: [", b"\xff\xfe\x00", b"just words"])
def test_a_file_that_is_no_configuration_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yaml is no"):
        load_config(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
