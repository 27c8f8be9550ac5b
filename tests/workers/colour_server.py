"""The colour model behind a real gRPC server that speaks TensorFlow Serving's ``Predict``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc

from pipeline.ports import ModelMissingError, ModelSpec
from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.tensors import to_array, to_tensor
from tests.workers.colour_model import ColourModel


def strings(*values: str) -> pb.Tensor:
    shape = pb.TensorShape(dim=[pb.TensorShape.Dim(size=len(values))])
    return pb.Tensor(dtype=pb.DT_STRING, tensor_shape=shape, string_val=[value.encode() for value in values])


class ColourServer:
    """Can be stopped and started again on the same port."""

    def __init__(self, model: ColourModel) -> None:
        self._model = model
        self._server: grpc.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(4),
            options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)],
        )
        handler = grpc.unary_unary_rpc_method_handler(
            self._predict,
            request_deserializer=pb.PredictRequest.FromString,
            response_serializer=pb.PredictResponse.SerializeToString,
        )
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "tensorflow.serving.PredictionService", {"Predict": handler}
                )
            ]
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _predict(self, request: pb.PredictRequest, context: grpc.ServicerContext) -> pb.PredictResponse:
        label = request.model_spec.version_label
        try:
            if request.model_spec.signature_name == "spec":
                return self._described(self._model.spec(label))
            predictions = self._model.predict(to_array(request.inputs["images"]), label=label)
        except ModelMissingError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {error}")
            raise
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        response = pb.PredictResponse()
        response.model_spec.version.value = predictions.spec.identity.version
        response.outputs["scores"].CopyFrom(to_tensor(predictions.scores))
        response.outputs["embedding"].CopyFrom(to_tensor(predictions.embeddings))
        return response

    @staticmethod
    def _described(spec: ModelSpec) -> pb.PredictResponse:
        response = pb.PredictResponse()
        response.model_spec.version.value = spec.identity.version
        for name, tensor in {
            "labels": strings(*spec.labels),
            "name": strings(spec.identity.name),
            "preprocess": strings(spec.preprocess.model_dump_json()),
            "preprocess_id": strings(spec.identity.preprocess_id),
            "vocabulary_id": strings(spec.identity.vocabulary_id),
            "embedding_id": strings(spec.identity.embedding_id),
        }.items():
            response.outputs[name].CopyFrom(tensor)
        return response
