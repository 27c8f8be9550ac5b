"""Runs in a container of training: the packages of which a part was left out."""

from __future__ import annotations

import h5py
import keras
import matplotlib.pyplot as plt
import mlflow.sklearn
import nbclient
import optuna
import pandas as pd
import pyarrow.parquet
import scipy.stats
import sklearn.linear_model
import sqlalchemy
import tensorflow as tf

from model_training.vocabulary import build_vocabulary

assert len(build_vocabulary().tags) > 1000
# For MLflow on PostgreSQL: its address has to be postgresql+psycopg://…
assert sqlalchemy.create_engine("postgresql+psycopg://nobody@127.0.0.1/none").dialect.driver == "psycopg"
network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
assert network(tf.ones((3, 4))).shape == (3, 2)
print([module.__name__ for module in (h5py, plt, mlflow.sklearn, nbclient, optuna, pd)])
print([module.__name__ for module in (pyarrow.parquet, scipy.stats, sklearn.linear_model)])
