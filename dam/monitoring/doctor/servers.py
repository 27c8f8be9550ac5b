"""The model servers, the model registry and the processes of the embedded system."""

from __future__ import annotations

import http.client
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from django.conf import settings
from django.db import Error

from dam.embedded.state import read_state
from dam.jobs.routing import routing
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, skipped, warning
from dam.tagging.models import ModelVersion
from pipeline.ports import IncompatibleModelError, ModelMissingError, ModelSpec, PredictorDownError
from pipeline.preprocess import UnsupportedSpecError

if TYPE_CHECKING:
    from pipeline.tfserving.client import TensorFlowServing

_PATIENCE_S = 5.0
_NOT_NAMED = "none is named: neither VITRINE_MODEL_SERVERS nor an embedded system that runs"


def model_servers() -> list[Finding]:
    """Each answers, with a version whose pixels we can prepare and whose tags the catalogue knows."""
    state = read_state(Path(settings.VITRINE_HOME))
    named = os.environ.get("VITRINE_MODEL_SERVERS") or state.get("model_servers") or ""
    addresses = [address.strip() for address in named.split(",") if address.strip()]
    if not addresses:
        return [skipped(_NOT_NAMED)]
    try:
        # Loaded by the worker's extra, which an installation of the catalogue alone does not have.
        from pipeline.tfserving.client import TensorFlowServing  # noqa: PLC0415
    except ImportError as error:
        return [skipped(f"this installation cannot ask them: {error.name or error} is not installed")]
    certificates = os.environ.get("VITRINE_MODEL_CA_FILE")
    catalogue, found = _catalogue(), []
    for address in addresses:
        try:
            server = TensorFlowServing(
                address,
                model_name=settings.MODEL_NAME,
                timeout_s=_PATIENCE_S,
                ca_file=Path(certificates) if certificates else None,
            )
        except OSError as error:
            return [
                failure(
                    f"VITRINE_MODEL_CA_FILE cannot be read: {error}", mend="Mend its path or its permissions."
                )
            ]
        with server:
            found.append(_model_server(server, catalogue).of(address))
    return found


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """What the catalogue says of model versions."""

    label: str = ""
    """That live jobs ask for; empty: the server's default version."""
    versions: frozenset[tuple[int, str, str]] | None = None
    """Number, vocabulary and embedding of those that it knows; None: it does not answer."""


def _catalogue() -> _Catalogue:
    try:
        rows = ModelVersion.objects.values_list("version", "vocabulary_id", "embedding_id")
        return _Catalogue(routing().live_label, frozenset(rows))
    except Error:
        # Told elsewhere.
        return _Catalogue()


def _model_server(server: TensorFlowServing, catalogue: _Catalogue) -> Finding:
    label = catalogue.label
    try:
        spec = server.spec(label)
    except (ModelMissingError, IncompatibleModelError) as error:
        return failure(
            str(error),
            mend="`python -m model_training controller` brings versions and labels into service; "
            "docs/serving.md says how it is done by hand.",
        )
    except PredictorDownError as error:
        return failure(
            str(error),
            mend="Start the model server, or mend VITRINE_MODEL_SERVERS; pictures wait in the queue "
            "meanwhile and nothing is lost.",
        )
    about = f"{spec.identity.name}, version {spec.identity.version}{f', as {label}' if label else ''}"
    return _prepared(spec) or _known(spec, catalogue) or ok(about)


def _prepared(spec: ModelSpec) -> Finding | None:
    """Whether we can make the pixels that it takes; None: yes, or it cannot be told here."""
    try:
        # With OpenCV, which an installation of the catalogue alone does not have.
        from pipeline.preprocess.pixels import check_supported  # noqa: PLC0415
    except ImportError:
        return None
    try:
        check_supported(spec.preprocess)
    except UnsupportedSpecError as error:
        return failure(
            f"version {spec.identity.version} asks for pixels that this Vitrine cannot make: {error}",
            mend="Serve the version before, or upgrade Vitrine on every worker.",
        )
    return None


def _known(spec: ModelSpec, catalogue: _Catalogue) -> Finding | None:
    """Whether the catalogue knows the version; None: yes, or it cannot be told."""
    asked = spec.identity
    if catalogue.versions is None or (
        (asked.version, asked.vocabulary_id, asked.embedding_id) in catalogue.versions
    ):
        return None
    return warning(
        f"the catalogue does not know version {asked.version} of {asked.name} as this server has it",
        mend="`vitrine register_model FOLDER` reads its tags; with a registry the controller does.",
    )


def registry() -> Finding:
    """MLflow, where its address is a server's."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address:
        return skipped("MLFLOW_TRACKING_URI is not set")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"}:
        return skipped(f"it is no server ({parts.scheme or 'a folder'}): whoever uses it opens it")
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=f"{parts.path.rstrip('/')}/health")
    try:
        with urlopen(bare.geturl(), timeout=_PATIENCE_S) as answer:  # noqa: S310  # http or https, see above
            said = answer.status
    except (URLError, OSError, http.client.HTTPException) as error:
        return failure(
            f"{shown}: {getattr(error, 'reason', error)}",
            mend="Start MLflow, or mend MLFLOW_TRACKING_URI. Pictures are tagged all the same; nothing is "
            "promoted meanwhile.",
        )
    return ok(f"{shown} answers ({said})")


def processes() -> list[Finding]:
    """The processes of the embedded system that was started on this home."""
    state: dict[str, Any] = read_state(Path(settings.VITRINE_HOME))
    pids: dict[str, int] = state.get("pids") or {}
    if not pids:
        return [skipped("no embedded system runs on this home")]
    ended = [name for name, pid in pids.items() if not _runs(pid)]
    if ended:
        return [
            failure(
                f"{', '.join(ended)}: ended",
                mend=f"Read the end of {settings.VITRINE_HOME}/logs/, then start Vitrine again: `make run`.",
            )
        ]
    return [ok(f"{len(pids)} run: {', '.join(sorted(pids))}")]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def site() -> Finding:
    """The site of the embedded system answers, and says that it is ready."""
    address = read_state(Path(settings.VITRINE_HOME)).get("address")
    if not address:
        return skipped("no embedded system runs on this home")
    parts = urlsplit(str(address))
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return failure(
            f"{address} does not answer: {error}",
            mend=f"Read {settings.VITRINE_HOME}/logs/web.log, then start Vitrine again: `make run`.",
        )
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        return failure(f"{address} is not ready", mend=f"`curl {address}/readyz` says what is missing.")
    return ok(f"{address} is ready")


SERVERS = Area("Servers", (Check("model server", model_servers), Check("model registry", registry)))
EMBEDDED = Area("Embedded system", (Check("processes", processes), Check("site", site)))
