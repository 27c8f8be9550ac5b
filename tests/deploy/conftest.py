from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deploy.rendered import Container, Helm, Pod, Rendered, cases


@pytest.fixture(scope="session")
def helm(deploy_tool: Callable[[str], str]) -> Helm:
    """Renders the chart; what was rendered once is kept for the session."""
    return Helm(deploy_tool("helm"))


@pytest.fixture(scope="session")
def renderings(helm: Helm) -> list[Rendered]:
    """The chart with the values of every case."""
    return [helm.case(name) for name in cases()]


@pytest.fixture(scope="session")
def pods(renderings: list[Rendered]) -> list[Pod]:
    """Every pod of every case."""
    return [pod for rendered in renderings for pod in rendered.pods]


@pytest.fixture(scope="session")
def containers(pods: list[Pod]) -> list[Container]:
    """Every container of every case."""
    return [container for pod in pods for container in pod.containers()]


@pytest.fixture(scope="session")
def everything(helm: Helm) -> Rendered:
    """The chart with all that it can have."""
    return helm.case("all-on")
