"""Versions of trained models in MLflow's registry: what was exported, with where it comes from."""
