"""What both doors (gRPC, REST) do with a request: each function fills the official response proto."""

from __future__ import annotations

from typing import Any

from model_training.local_server.config import from_proto
from model_training.local_server.errors import invalid
from model_training.local_server.servable import DEFAULT_SIGNATURE
from model_training.local_server.versions import Versions
from model_training.serving_protos import get_model_metadata_pb2

_SIGNATURE_DEF = "signature_def"


def predict(versions: Versions, request: Any, response: Any) -> None:
    """Predict. The response says which version answered."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    with versions.use(request.model_spec) as (number, servable):
        servable.predict(request, response)
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = number
    response.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE


def metadata(versions: Versions, request: Any, response: Any) -> None:
    """GetModelMetadata: the signatures of a version."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for name in request.metadata_field:
        if name != _SIGNATURE_DEF:
            raise invalid(f"Metadata field {name} is not supported")
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with versions.use(request.model_spec) as (number, servable):
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
    response.metadata[_SIGNATURE_DEF].Pack(signatures)
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = number


def status(versions: Versions, request: Any, response: Any) -> None:
    """GetModelStatus: the states of all versions, newest first, or of one."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    for found in versions.statuses(request.model_spec):
        entry = response.model_version_status.add(version=found.version, state=int(found.state))
        entry.status.error_code = found.error.code.value[0] if found.error else 0
        entry.status.error_message = found.error.message if found.error else ""


def reload_config(versions: Versions, request: Any, response: Any) -> None:
    """HandleReloadConfigRequest: returns when what the new configuration asks for is loaded."""
    versions.reconfigure(from_proto(request.config))
    response.status.error_code = 0
