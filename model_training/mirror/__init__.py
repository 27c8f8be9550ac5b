"""``python -m model_training.mirror``: models from where they are published to a folder of a model server.

TensorFlow Serving reads no S3 since 2.7, and a folder that several machines share is not to be had
everywhere. Nothing here imports TensorFlow, its protocols, MLflow or anything else that
the image of the worker has not.
"""
