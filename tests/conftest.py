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
    "tests.plugins.deploy_tools",
    "tests.plugins.images",
    "tests.plugins.compose_files",
    "tests.plugins.compose",
    "tests.plugins.container_registry",
    "tests.plugins.release_checkout",
    "tests.plugins.spans",
    "tests.plugins.signals",
]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: str, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """pytest-django asks for this before it makes its database: the server has to run by then."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the tests that empty the database, have those come first that want what migrations wrote to it.

    The others leave content types that were made anew, and beside them the old ones cannot be put back.
    pytest-django, which goes on from this order, moves all that empty the database behind the rest.
    """
    items.sort(key=lambda item: not _wants_what_migrations_wrote(item))


def _wants_what_migrations_wrote(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return marker is not None and bool(marker.kwargs.get("serialized_rollback"))
