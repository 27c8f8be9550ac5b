"""The ``models.config`` of the model servers: which versions they load, and which labels these bear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from model_training.rollout.config_place import ConfigPlace

CHAMPION, CHALLENGER, PREDECESSOR = "champion", "challenger", "predecessor"


class ModelsConfigError(Exception):
    """The file is there and does not say what it has to. The text says which file, and what is missing."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The version under each label. All are always set: where there is no such version, to the champion."""

    champion: int
    challenger: int
    predecessor: int

    @classmethod
    def of(cls, champion: int, challenger: int | None = None, predecessor: int | None = None) -> Labels:
        """None: there is no such version."""
        return cls(
            champion,
            champion if challenger is None else challenger,
            champion if predecessor is None else predecessor,
        )

    @property
    def trial(self) -> int | None:
        """The challenger, if there is one."""
        return None if self.challenger == self.champion else self.challenger

    @property
    def way_back(self) -> int | None:
        """The predecessor, if there is one."""
        return None if self.predecessor == self.champion else self.predecessor

    @property
    def versions(self) -> frozenset[int]:
        """All that bear a label."""
        return frozenset({self.champion, self.challenger, self.predecessor})

    def by_name(self) -> dict[str, int]:
        """As ``models.config`` has them."""
        return {CHAMPION: self.champion, CHALLENGER: self.challenger, PREDECESSOR: self.predecessor}


@dataclass(frozen=True, slots=True)
class Serving:
    """What the model servers are told of one model."""

    versions: frozenset[int]
    """To load: those with labels, and one more while it is tried."""
    labels: Labels


def read_serving(place: ConfigPlace, model: str) -> Serving | None:
    """What the file says of a model; None if there is no file yet, or it does not name the model.

    Raises:
        ModelsConfigError: it cannot be read, or names the model without versions and labels.
        BlobStoreDownError: it is in S3, which does not answer.
    """
    config = _read(place)
    entries = config.model_config_list.config if config is not None else ()
    entry = next((each for each in entries if each.name == model), None)
    if entry is None:
        return None
    versions = frozenset(entry.model_version_policy.specific.versions)
    labels = dict(entry.version_labels)
    if CHAMPION not in labels or not versions >= set(labels.values()):
        raise ModelsConfigError(
            f"{place.name}: model {model!r} needs a version policy `specific` that names every version with "
            f"a label, and the label {CHAMPION!r}; without the file, it is made anew"
        )
    found = Labels.of(labels[CHAMPION], labels.get(CHALLENGER), labels.get(PREDECESSOR))
    return Serving(versions, found)


def write_serving(place: ConfigPlace, model: str, serving: Serving, *, base_path: str) -> None:
    """Make the file say this of a model, at one stroke; what it says of others stays.

    Args:
        place: Of the file; its folder is made.
        model: Its name on the model servers.
        serving: What to load, under which labels.
        base_path: Of the model, where the file does not name one yet: servers may see it elsewhere.

    Raises:
        ModelsConfigError: the file that is there cannot be read.
        BlobStoreDownError: it is in S3, which does not answer.
    """
    config = _read(place) or model_server_config_pb2.ModelServerConfig()
    entries = config.model_config_list.config
    entry = next((each for each in entries if each.name == model), None)
    if entry is None:
        entry = entries.add(name=model, base_path=base_path, model_platform="tensorflow")
    entry.model_version_policy.Clear()
    entry.model_version_policy.specific.versions.extend(sorted(serving.versions))
    entry.version_labels.clear()
    entry.version_labels.update(serving.labels.by_name())
    place.write(text_format.MessageToString(config).encode())


def _read(place: ConfigPlace) -> Any:
    try:
        content = place.read()
        if content is None:
            return None
        return text_format.Parse(content.decode(), model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ModelsConfigError(f"{place.name}: {error}") from error
