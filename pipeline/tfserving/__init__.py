"""TensorFlow Serving's gRPC protocol, without TensorFlow."""
