"""A stand-in for TensorFlow Serving, for laptops and tests.

It speaks TensorFlow Serving's gRPC and REST with the official protos, watches version folders and
``models.config`` as it does, and answers errors with its status codes. It is not TensorFlow Serving:
no batching across requests, few of its metrics, one process of Python. docs/serving.md lists the differences.
"""
