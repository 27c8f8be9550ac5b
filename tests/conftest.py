from __future__ import annotations

import pytest

pytest_plugins = [
    "tests.plugins.airflow_runs",
    "tests.plugins.postgres",
    "tests.plugins.rabbitmq",
    "tests.plugins.object_store",
    "tests.plugins.brokers",
    "tests.plugins.model_server",
    "tests.plugins.browser",
    "tests.plugins.photos",
    "tests.plugins.system",
    "tests.plugins.toy_pictures",
    "tests.plugins.mlflow_server",
    "tests.plugins.prometheus",
]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: str, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it makes its database: the server has to run by then."""
