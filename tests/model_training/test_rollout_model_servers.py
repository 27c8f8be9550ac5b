"""Every model server behind a name is asked, and one that is down is waited for."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.golden import Golden, GoldenError, read_golden
from model_training.local_server.config import ModelConfig
from model_training.local_server.grpc_service import serve_grpc
from model_training.local_server.servable import Threads
from model_training.local_server.versions import Versions
from model_training.rollout.model_servers import ModelServers, ServersDownError
from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for
from tests.plugins.rollout_scene import tiny_version

_HOSTS = ("127.0.0.1", "127.0.0.2")
_LABELS = {"champion": 1}


@contextmanager
def one_server(base: Path, host: str, port: int) -> Iterator[Versions]:
    """The local server's gRPC half, in this process."""
    versions = Versions(
        {"tagger": ModelConfig("tagger", base, labels=_LABELS)}, threads=Threads(1, 1), poll_s=0.05
    )
    server, _ = serve_grpc(versions, host, port)
    versions.start()
    try:
        assert versions.wait_available(120)
        yield versions
    finally:
        server.stop(0).wait()
        versions.close()


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def both(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """The base paths of two servers on the same port of two addresses."""
    bases = [tmp_path_factory.mktemp(host) for host in _HOSTS]
    with ExitStack() as stack:
        for host, base in zip(_HOSTS, bases, strict=True):
            shutil.copytree(tiny_version(0.1), base / "1")
            stack.enter_context(one_server(base, host, port))
        yield bases


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which addresses ``models.test`` has, as a headless service's name has those of its pods."""
    lookup = socket.getaddrinfo

    def means(*hosts: str) -> None:
        def found(host: str, port: int, **more: Any) -> Any:
            asked = hosts if host == "models.test" else (host,)
            return [entry for each in asked for entry in lookup(each, port, **more)]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return means


@pytest.fixture
def servers(port: int) -> Iterator[ModelServers]:
    servers = ModelServers(f"models.test:{port}", "tagger")
    yield servers
    servers.close()


@pytest.fixture
def golden() -> Golden:
    return read_golden((tiny_version(0.1) / "assets.extra" / "golden.npz").read_bytes())


def test_a_name_means_all_its_addresses(
    both: list[Path], servers: ModelServers, named: Callable[..., None], golden: Golden, port: int
) -> None:
    named("127.0.0.1")
    assert servers.loading(1).available
    named(*_HOSTS)
    assert servers.loading(1).available
    servers.check(1, golden)
    assert servers.are_in_force(_LABELS)
    named(*_HOSTS, "127.0.0.3")
    waited = servers.loading(1)
    assert not waited.available
    assert f"127.0.0.3:{port}" in waited.text
    with pytest.raises(ServersDownError, match=r"127\.0\.0\.3"):
        servers.check(1, golden)
    # It answers nobody by an old label either.
    assert servers.are_in_force(_LABELS)
    named("127.0.0.3")
    assert not servers.are_in_force(_LABELS)


def test_a_version_that_one_of_them_lacks_is_waited_for_and_one_that_fails_there_has_failed(
    both: list[Path], servers: ModelServers, named: Callable[..., None]
) -> None:
    named(*_HOSTS)
    assert "not known" in servers.loading(5).text
    (both[1] / "5").mkdir()
    (both[1] / "5" / "saved_model.pb").write_bytes(b"not a model")
    wait_for(lambda: bool(servers.loading(5).failed), 120, "the server to try it")
    assert servers.loading(5).failed.startswith("127.0.0.2")
    # Named again, it may load this time: what is told of the last time is no news.
    servers.expect(5)
    assert not servers.loading(5).failed
    assert not servers.are_in_force({"champion": 5})
    assert not servers.are_in_force({"nobody": 1})


def test_a_golden_request_is_answered_by_each_of_them(
    both: list[Path], servers: ModelServers, named: Callable[..., None], golden: Golden
) -> None:
    named(*_HOSTS)
    other = Golden(golden.images, np.float32(1) - golden.scores, golden.embedding)
    with pytest.raises(GoldenError, match=r"127\.0\.0\.1.*differs by"):
        servers.check(1, other)
    larger = Golden(np.zeros((4, 9, 9, 3), np.uint8), golden.scores, golden.embedding)
    with pytest.raises(GoldenError, match="refuses the golden request"):
        servers.check(1, larger)


def test_a_name_that_means_nothing_is_waited_for(
    servers: ModelServers, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "models.test" in servers.loading(1).text
    with pytest.raises(ServersDownError, match=r"models\.test"):
        servers.check(1, golden)


@pytest.mark.parametrize("addresses", ["", " , ", "models.test", "models.test:http"])
def test_addresses_without_a_port_are_refused(addresses: str) -> None:
    with pytest.raises(ValueError, match=r"address|host:port"):
        ModelServers(addresses, "tagger")
