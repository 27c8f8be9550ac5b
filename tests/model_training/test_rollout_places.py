"""Where versions lie and what the model servers are told: ``models.config``, a folder, a bucket."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from model_training.local_server.config import read_models_config
from model_training.rollout.config_place import ConfigFile, config_place
from model_training.rollout.models_config import (
    Labels,
    ModelsConfigError,
    Serving,
    read_serving,
    write_serving,
)
from model_training.rollout.serving_path import FolderPath, NoVersionError, ServingPath, serving_path
from pipeline.blobs import BlobStoreDownError
from tests.plugins.object_store import ObjectStore
from tests.plugins.tiny_models import model_config

# ------------------------------------------------------------------ models.config


def test_the_model_server_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "models.config"
    serving = Serving(frozenset({3, 4, 7}), Labels.of(4, 7))
    write_serving(ConfigFile(path), "tagger", serving, base_path="/models/tagger")
    assert read_serving(ConfigFile(path), "tagger") == serving
    read = read_models_config(path)["tagger"]
    assert (read.base_path, read.specific) == (Path("/models/tagger"), {3, 4, 7})
    assert read.labels == {"champion": 4, "challenger": 7, "predecessor": 4}
    assert 'model_platform: "tensorflow"' in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["models.config"]


def test_other_models_and_the_base_path_that_servers_see_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    first = model_config("tagger", Path("/seen/by/servers"), "specific { versions: 1 }", champion=1)
    path.write_text(f"model_config_list {{ {first} {model_config('other', Path('/other'), 'all {}')} }}")
    place = ConfigFile(path)
    assert read_serving(place, "tagger") == Serving(frozenset({1}), Labels.of(1))
    write_serving(place, "tagger", Serving(frozenset({1, 2}), Labels.of(1)), base_path="/seen/by/us")
    read = read_models_config(path)
    assert (read["tagger"].base_path, read["tagger"].specific) == (Path("/seen/by/servers"), {1, 2})
    assert (read["other"].base_path, read["other"].latest) == (Path("/other"), None)


def test_a_file_that_is_not_there_or_names_other_models_says_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "models.config"
    assert read_serving(ConfigFile(path), "tagger") is None
    path.write_text(f"model_config_list {{ {model_config('other', Path('/other'))} }}")
    assert read_serving(ConfigFile(path), "tagger") is None


@pytest.mark.parametrize(
    "content",
    [
        "model_config_list { this is not a config",
        f"model_config_list {{ {model_config('tagger', Path('/models'))} }}",
        f"model_config_list {{ {model_config('tagger', Path('/models'), 'all {}', champion=1)} }}",
        f"model_config_list {{ {model_config('tagger', Path('/models'), 'specific { versions: 1 }')} }}",
        "model_config_list { "
        + model_config("tagger", Path("/models"), "specific { versions: 1 }", champion=2)
        + " }",
    ],
)
def test_a_file_without_versions_and_labels_is_refused_and_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "models.config"
    path.write_text(content)
    with pytest.raises(ModelsConfigError, match=str(path)):
        read_serving(ConfigFile(path), "tagger")
    assert path.read_text() == content


@pytest.mark.slow
def test_a_models_config_in_a_bucket_says_what_was_written_there(bucket: str) -> None:
    place = config_place(f"s3://{bucket}/models/models.config")
    assert read_serving(place, "tagger") is None
    first = Serving(frozenset({1}), Labels.of(1))
    write_serving(place, "tagger", first, base_path="/models/tagger")
    second = Serving(frozenset({1, 2}), Labels.of(1, 2))
    write_serving(place, "tagger", second, base_path="/somewhere/else")
    assert read_serving(place, "tagger") == second
    assert 'base_path: "/models/tagger"' in (place.read() or b"").decode()
    place.write(b"model_config_list { this is not a config")
    with pytest.raises(ModelsConfigError, match=f"s3://{bucket}/models/models.config"):
        read_serving(place, "tagger")


@pytest.mark.slow
def test_a_models_config_in_a_store_that_fails_is_an_outage_and_not_a_missing_file(bucket: str) -> None:
    place = config_place(f"s3://{bucket}-of-nobody/models.config")
    with pytest.raises(BlobStoreDownError, match="no bucket"):
        read_serving(place, "tagger")
    with pytest.raises(BlobStoreDownError, match="no bucket"):
        serving_path(f"s3://{bucket}-of-nobody/tagger").versions()


@pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/", "s3://", "ftp://host/models.config"])
def test_another_kind_of_place_for_models_config_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="neither a"):
        config_place(place)


# ------------------------------------------------------------------ the base path


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty one, which this process may use."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store.make_bucket()


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """Files as those of a version: nobody loads them here."""
    folder = tmp_path / "version"
    for name in ("saved_model.pb", "variables/variables.index", "assets.extra/golden.npz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ServingPath:
    if request.param == "folder":
        return serving_path(str(tmp_path / "models" / "tagger"))
    return serving_path(f"s3://{request.getfixturevalue('bucket')}/models/tagger/")


def test_a_published_version_is_there_as_it_was(place: ServingPath, version: Path, tmp_path: Path) -> None:
    assert place.versions() == frozenset()
    place.publish(version, 12)
    place.publish(version, 3)
    place.publish(version, 3)
    assert place.versions() == {3, 12}
    assert place.beside(12, "golden.npz") == b"assets.extra/golden.npz"
    assert place.beside(12, "nothing") is None
    fetched = place.fetch(12, tmp_path / "fetched")
    found = {
        path.relative_to(fetched).as_posix(): path.read_bytes()
        for path in fetched.rglob("*")
        if path.is_file()
    }
    assert found == {name: name.encode() for name in found}
    assert set(found) == {"saved_model.pb", "variables/variables.index", "assets.extra/golden.npz"}
    assert place.name.endswith("models/tagger")


@pytest.mark.slow
def test_half_a_version_in_a_bucket_is_none_and_is_completed(
    object_store: ObjectStore, bucket: str, version: Path, tmp_path: Path
) -> None:
    place = serving_path(f"s3://{bucket}")
    object_store.client().put_object(Bucket=bucket, Key="5/variables/variables.index", Body=b"half")
    assert place.versions() == frozenset()
    with pytest.raises(NoVersionError):
        place.copy(5, tmp_path / "copy")
    place.publish(version, 5)
    assert place.versions() == {5}
    listed = object_store.client().list_objects_v2(Bucket=bucket)["Contents"]
    written = {each["Key"]: each["LastModified"] for each in listed}
    assert written["5/saved_model.pb"] == max(written.values())


def test_what_a_killed_publication_left_is_removed_after_a_while(tmp_path: Path, version: Path) -> None:
    place = FolderPath(tmp_path / "models")
    for name in (".7-old", ".8-young"):
        (tmp_path / "models" / name).mkdir(parents=True)
    os.utime(tmp_path / "models" / ".7-old", (0, 0))
    (tmp_path / "models" / "9").mkdir()  # copied by hand, and not to the end
    place.publish(version, 9)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".8-young", "9"]


def test_a_version_that_somebody_else_has_published_meanwhile_stays(tmp_path: Path, version: Path) -> None:
    place = FolderPath(tmp_path / "models")

    def fill(to: Path) -> None:
        place.publish(version, 5)
        shutil.copytree(version, to)
        (to / "saved_model.pb").write_bytes(b"of the second")

    place.take(5, fill)
    assert (tmp_path / "models" / "5" / "saved_model.pb").read_bytes() == b"saved_model.pb"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["5"]


@pytest.mark.parametrize("place", ["ftp://host/models", "s3://", "s3://bucket/models?x=1"])
def test_another_kind_of_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="neither a folder nor s3"):
        serving_path(place)
