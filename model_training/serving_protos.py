"""TensorFlow Serving's official messages. Importing this module loads TensorFlow, as they do."""

from __future__ import annotations

from model_training.tensorflow_runtime import load_tensorflow

tf = load_tensorflow()

# Only now: these import TensorFlow by themselves, before anything is decided about it.
from tensorflow_serving.apis import (  # noqa: E402
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

__all__ = [
    "classification_pb2",
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "model_management_pb2",
    "model_service_pb2_grpc",
    "predict_pb2",
    "prediction_log_pb2",
    "prediction_service_pb2_grpc",
    "tf",
]
