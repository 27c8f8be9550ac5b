"""Gathers what a decision depends on. Nothing is asked that the moment does not call for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from model_training.mlflow_runtime import store_exists
from model_training.rollout.aliases import MlflowRegistry, RegistryDownError
from model_training.rollout.catalogue import Catalogue, CatalogueDownError, CatalogueRefusedError
from model_training.rollout.complaints import Complaints
from model_training.rollout.config_place import ConfigPlace
from model_training.rollout.model_servers import ModelServers
from model_training.rollout.models_config import Serving, read_serving
from model_training.rollout.serving_path import ServingPath
from model_training.rollout.state import InCatalogue, Registry, Seen, WishKind

_REPORT_EVERY_S = 30.0


@dataclass
class Surroundings:
    """What the controller stands among."""

    models_config: ConfigPlace
    model: str
    path: ServingPath
    served_as: str
    """The base path as the model servers see it."""
    servers: ModelServers
    catalogue: Catalogue
    registry: MlflowRegistry
    complaints: Complaints = field(default_factory=Complaints)
    reported_at: float = float("-inf")
    foreign: set[int] = field(default_factory=set)

    def close(self) -> None:
        """Drop the connections."""
        self.servers.close()
        self.catalogue.close()

    def serving(self) -> Serving | None:
        """What ``models.config`` says now.

        Raises:
            ModelsConfigError
            BlobStoreDownError: of one in S3.
        """
        return read_serving(self.models_config, self.model)

    def look(self) -> Seen:
        """Everything that the next decision needs.

        Raises:
            ModelsConfigError, ServersDownError
            BlobStoreDownError: of a base path or a ``models.config`` in S3.
        """
        serving = self.serving()
        catalogue = self._catalogue()
        registry, registry_is_down = self._registry(catalogue)
        if serving is None:
            return Seen(None, self.path.versions(), registry, registry_is_down, catalogue)
        bears_no_label = serving.versions - serving.labels.versions
        changed = bool(bears_no_label) or (catalogue is not None and not catalogue.agrees(serving.labels))
        return Seen(
            serving=serving,
            at_base=self._at_base(serving, registry, catalogue),
            registry=registry,
            registry_is_down=registry_is_down,
            catalogue=catalogue,
            loading={number: self.servers.loading(number) for number in bears_no_label},
            in_force=not changed or self.servers.are_in_force(serving.labels.by_name()),
            report_due=time.monotonic() - self.reported_at > _REPORT_EVERY_S,
            foreign=frozenset(self.foreign),
        )

    def _catalogue(self) -> InCatalogue | None:
        try:
            seen = self.catalogue.look()
        except (CatalogueDownError, CatalogueRefusedError) as error:
            self.complaints.tell("catalogue", error)
            return None
        self.complaints.over("catalogue")
        return seen

    def _registry(self, catalogue: InCatalogue | None) -> tuple[Registry | None, bool]:
        """What the registry says, and whether there is one that does not answer."""
        if catalogue is not None and catalogue.wish and catalogue.wish.kind is WishKind.ROLL_BACK:
            # It may let us wait for long, and a roll-back waits for nothing.
            return None, True
        if not store_exists():
            self.complaints.remark("registry", "there is no model registry yet: nothing to follow")
            return None, False
        try:
            seen = self.registry.look()
        except RegistryDownError as error:
            self.complaints.tell("registry", error)
            return None, True
        self.complaints.over("registry")
        return seen, False

    def _at_base(
        self, serving: Serving, registry: Registry | None, catalogue: InCatalogue | None
    ) -> frozenset[int]:
        """Looked up only where somebody names a version that is not loaded: in S3 a look costs requests."""
        numbers: set[int] = set()
        if catalogue is not None and catalogue.wish is not None:
            numbers.add(catalogue.wish.version.number)
            if catalogue.predecessor is not None:
                numbers.add(catalogue.predecessor.number)
        for alias in (registry.champion, registry.challenger) if registry is not None else ():
            named = registry.versions.get(alias) if registry is not None and alias is not None else None
            if named is not None and named.served_as is not None:
                numbers.add(named.served_as)
        return self.path.versions() if numbers - serving.versions else serving.versions
