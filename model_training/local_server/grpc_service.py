"""TensorFlow Serving's PredictionService and ModelService over gRPC."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc

from model_training.local_server import api, monitoring
from model_training.local_server.config import ConfigError
from model_training.local_server.errors import PortTakenError, ServingError, invalid
from model_training.local_server.versions import Versions
from model_training.serving_protos import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)

# Requests queue up in front of the cores anyway; more workers only hold more batches in memory.
_WORKERS = 8
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Two servers on one port would answer in turn, each with its own model.
    ("grpc.so_reuseport", 0),
)


_Method = Callable[[Versions, Any, Any], None]


def serve_grpc(versions: Versions, host: str, port: int) -> tuple[grpc.Server, int]:
    """Start answering.

    Args:
        versions: What is served.
        host: To listen on.
        port: 0: any free one.

    Returns:
        The server and the port it listens on.

    Raises:
        PortTakenError: the port is in use.
    """

    def handler(method: _Method, request: Any, response: Any) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(
            partial(_answer, method, versions, response),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )

    prediction = {
        "Predict": handler(_predict, predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        "GetModelMetadata": handler(
            api.metadata,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
        ),
    }
    model = {
        "GetModelStatus": handler(
            api.status,
            get_model_status_pb2.GetModelStatusRequest,
            get_model_status_pb2.GetModelStatusResponse,
        ),
        "HandleReloadConfigRequest": handler(
            api.reload_config,
            model_management_pb2.ReloadConfigRequest,
            model_management_pb2.ReloadConfigResponse,
        ),
    }
    server = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix="grpc"), options=_OPTIONS)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", prediction),
            grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", model),
        )
    )
    try:
        chosen = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise PortTakenError(f"gRPC cannot listen on {host}:{port}: {error}") from error
    server.start()
    return server, chosen


def _predict(versions: Versions, request: Any, response: Any) -> None:
    with monitoring.prediction(versions.known_name(request.model_spec.name), "Predict", "GRPC"):
        api.predict(versions, request, response)


def _answer(
    method: _Method, versions: Versions, response_type: Any, request: Any, context: grpc.ServicerContext
) -> Any:
    response = response_type()
    try:
        method(versions, request, response)
    except ConfigError as error:
        failure = invalid(str(error))
    except ServingError as error:
        failure = error
    else:
        return response
    context.abort(failure.code, failure.message)
    raise AssertionError("abort always raises")
