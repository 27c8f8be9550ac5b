"""The rollout's half on the side of the models: what MLflow and the catalogue ask for is put into service.

Nothing here imports TensorFlow, and MLflow only where there is a registry.
"""
