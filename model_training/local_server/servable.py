"""One loaded version of a model: answers Predict requests as TensorFlow Serving's predict_util does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_training.local_server import monitoring
from model_training.local_server.errors import Code, ServingError, from_tensorflow, invalid
from model_training.serving_protos import predict_pb2, prediction_log_pb2, tf

DEFAULT_SIGNATURE = "serving_default"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
# The one signature in a SavedModel that says how to initialise it, not what it answers.
_INTERNAL_SIGNATURE = "__saved_model_init_op"


@dataclass(frozen=True, slots=True)
class Threads:
    """Sizes of TensorFlow's pools; 0: it decides (one per core)."""

    intra_op: int = 0
    inter_op: int = 0


class Servable:
    """A SavedModel in a session of its own, as TensorFlow Serving's C++ loader makes it. Thread-safe."""

    def __init__(self, folder: Path, threads: Threads) -> None:
        """Load a version folder.

        Raises:
            ServingError: TensorFlow cannot load it.
        """
        v1 = tf.compat.v1
        graph = tf.Graph()
        config = v1.ConfigProto(
            intra_op_parallelism_threads=threads.intra_op, inter_op_parallelism_threads=threads.inter_op
        )
        self._session = v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                meta = v1.saved_model.load(self._session, ["serve"], str(folder))
        except tf.errors.OpError as error:
            self._session.close()
            raise from_tensorflow(error.error_code, error.message) from error
        except Exception as error:
            # Anything can come out of a broken file, and none of it may end the watch over the others.
            self._session.close()
            raise ServingError(Code.INTERNAL, f"cannot load {folder}: {error}") from error
        self.signatures: dict[str, Any] = {
            name: signature for name, signature in meta.signature_def.items() if name != _INTERNAL_SIGNATURE
        }

    def close(self) -> None:
        """Free the session. Nobody may be using it any more."""
        self._session.close()

    def signature(self, name: str) -> tuple[str, Any]:
        """A signature by name, empty: the default one.

        Raises:
            ServingError: FAILED_PRECONDITION, as TensorFlow Serving has it.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return name, self.signatures[name]

    def predict(self, request: Any, response: Any) -> None:
        """Answer a ``PredictRequest`` into a ``PredictResponse``, except for its model_spec.

        Raises:
            ServingError: with the code and nearly the words of TensorFlow Serving.
        """
        self._run(request, response, timed_as=request.model_spec.name)

    def _run(self, request: Any, response: Any, *, timed_as: str) -> None:
        _, signature = self.signature(request.model_spec.signature_name)
        feeds = self._feeds(signature, request)
        wanted = self._wanted(signature, list(request.output_filter))
        try:
            with monitoring.run(timed_as):
                values = self._session.run([signature.outputs[name].name for name in wanted], feeds)
        except tf.errors.OpError as error:
            raise from_tensorflow(error.error_code, error.message) from error
        for name, value in zip(wanted, values, strict=True):
            self._fill(response.outputs[name], signature.outputs[name].dtype, np.asarray(value))

    def _feeds(self, signature: Any, request: Any) -> dict[str, Any]:
        asked, sent = set(signature.inputs), set(request.inputs)
        if len(asked) != len(sent):
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(asked)} len({{{_list(sent)}}}) != "
                f"len({{{_list(asked)}}}). Sent extra: {{{_list(sent - asked)}}}. "
                f"Missing but required: {{{_list(asked - sent)}}}."
            )
        feeds = {}
        for alias, tensor in request.inputs.items():
            if alias not in asked:
                raise invalid(
                    f"input tensor alias not found in signature: {alias}. "
                    f"Inputs expected to be in the set {{{_list(asked)}}}."
                )
            info = signature.inputs[alias]
            try:
                value = tf.make_ndarray(tensor)
            except (ValueError, TypeError, KeyError) as error:
                raise invalid(f"tensor parsing error: {alias}: {error}") from error
            self._check(alias, info, tensor.dtype, value)
            feeds[info.name] = value
        return feeds

    def _check(self, alias: str, info: Any, dtype: int, value: Any) -> None:
        """Python's session would convert another type silently, where C++ refuses it."""
        if dtype != info.dtype:
            expected, found = (tf.dtypes.as_dtype(d).name for d in (info.dtype, dtype))
            raise invalid(f"Expects arg[0] to be {expected} but {found} is provided (input {alias})")
        expected_shape = tf.TensorShape(info.tensor_shape)
        if not expected_shape.is_compatible_with(value.shape):
            raise invalid(
                f"Input to reshape: input {alias} has shape {list(value.shape)}, "
                f"the signature asks for {expected_shape}"
            )

    @staticmethod
    def _wanted(signature: Any, output_filter: list[str]) -> list[str]:
        for position, name in enumerate(output_filter):
            if name not in signature.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {name} "
                    f"Outputs expected to be in the set {{{_list(signature.outputs)}}}."
                )
            if name in output_filter[:position]:
                raise invalid(f"duplicate output tensor alias: {name}")
        return output_filter or sorted(signature.outputs)

    def _fill(self, tensor: Any, dtype: int, value: Any) -> None:
        """Into typed fields, not ``tensor_content``: TensorFlow Serving's default, and clients must cope."""
        flat = value.ravel()
        kind = tf.dtypes.as_dtype(dtype)
        fields = {
            tf.float32: tensor.float_val,
            tf.float64: tensor.double_val,
            tf.int32: tensor.int_val,
            tf.uint8: tensor.int_val,
            tf.int64: tensor.int64_val,
            tf.bool: tensor.bool_val,
        }
        if kind == tf.string:
            tensor.string_val.extend(flat.tolist())
        elif kind in fields:
            fields[kind].extend(flat.tolist())
        else:
            tensor.CopyFrom(tf.make_tensor_proto(value))
            return
        tensor.dtype = dtype
        for size in value.shape:
            tensor.tensor_shape.dim.add().size = size

    def warm_up(self, folder: Path) -> int:
        """Answer the version's own warm-up requests, so that the first real one is fast.

        Returns:
            How many there were.

        Raises:
            ServingError: one of them cannot be answered; such a version must not be served.
        """
        path = folder / WARMUP
        if not path.is_file():
            return 0
        with monitoring.warming_up(folder):
            try:
                return self._answer_all(path)
            except Exception as error:
                raise ServingError(Code.INTERNAL, f"cannot answer {path}: {error}") from error

    def _answer_all(self, recorded: Path) -> int:
        count = 0
        for record in tf.compat.v1.io.tf_record_iterator(str(recorded)):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") == "predict_log":
                self._run(log.predict_log.request, predict_pb2.PredictResponse(), timed_as="")
                count += 1
        return count


def _list(names: Any) -> str:
    return ",".join(sorted(names))
