"""A real RabbitMQ node for tests: Debian's server on free ports, with a state folder of its own.

The session's node is the fixture ``rabbit_node``; a test takes an empty virtual host of it with
``make_vhost`` (40 ms), so that nobody sees the queues of another. A test that stops or kills the node
starts it again.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""The wrappers in /usr/sbin would change to the user of the system's own node."""
_STARTS_WITHIN_S = 180
_ANSWERS_WITHIN_S = 60


class RabbitNode:
    """A broker in a folder, which may be stopped or killed and started again with what it holds.

    Args:
        folder: for its state; made if it is not there.
        settings: more lines of ``rabbitmq.conf``.
        tls: listen for TLS, too, on ``tls_port``; ``settings`` then name the certificates.
    """

    user = "vitrine"

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, tls: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # Erlang refuses a cookie that others might read
        self._folder = folder
        self.starts = 0
        """How often it was started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._log: IO[bytes] | None = None
        self._vhosts: list[str] = []
        self.password = secrets.token_urlsafe(12)
        self.port, self._management, self._distribution, self.tls_port, self._epmd = free_ports(5)
        # The short name of this machine need not resolve; localhost does.
        self.name = f"vitrine-{uuid4().hex[:8]}@localhost"
        lines = {
            "listeners.tcp.default": f"127.0.0.1:{self.port}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": str(self._management),
            "default_user": self.user,
            "default_pass": self.password,
            "log.console": "false",
            "log.file.level": "info",
            # Other tests fill the same disk and memory.
            "disk_free_limit.absolute": "50MB",
            "vm_memory_high_watermark.absolute": "1GB",
            # Checked more often than by default, so that a test sees an alarm end.
            "collect_statistics_interval": "5000",
            **({"listeners.ssl.default": f"127.0.0.1:{self.tls_port}"} if tls else {}),
            **(settings or {}),
        }
        (folder / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """AMQP address of the default virtual host."""
        return self.url_of("/")

    def url_of(self, vhost: str, *, port: int | None = None, scheme: str = "amqp") -> str:
        """AMQP address of a virtual host, perhaps by another port (that of a proxy)."""
        where = f"127.0.0.1:{port or self.port}"
        return f"{scheme}://{self.user}:{self.password}@{where}/{quote(vhost, safe='')}"

    def start(self) -> None:
        """Return when it takes connections; nothing happens if it runs."""
        if self._process is not None and not self._stopped:
            return
        self.starts += 1
        if self._stopped:
            self._stopped = False
            self.evaluate("ok = rabbit:start()")
            wait_for(self._is_ready, _STARTS_WITHIN_S, "RabbitMQ to take connections")
            return
        self._log = (self._folder / "output").open("ab")
        self._process = subprocess.Popen(
            [str(_PROGRAMS / "rabbitmq-server")],
            env=self._environment(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(self._is_ready, _STARTS_WITHIN_S, "RabbitMQ to take connections")
        except AssertionError as error:
            self.crash()
            raise AssertionError(f"{error}; it said:\n{self._last_words()}") from error

    def stop(self) -> None:
        """As ``rabbitmqctl stop_app`` does: the broker ends, Erlang stays and starts it again in a second."""
        self.evaluate("ok = rabbit:stop()")
        self._stopped = True

    def crash(self) -> None:
        """Kill -9 of the node and everything below it; what it confirmed stays in its folder."""
        process, self._process = self._process, None
        self._stopped = False
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if self._log is not None:
            self._log.close()

    def close(self) -> None:
        """End it for good, its port mapper too."""
        self.crash()
        wait_for(self._has_no_mapper, _ANSWERS_WITHIN_S, "the end of the port mapper")

    def evaluate(self, expression: str) -> str:
        """What an Erlang expression is on the node, as text; takes a few milliseconds.

        A node that is up may be too busy to shake hands in the time that ``erl_call`` gives it, which shows
        before anything is evaluated: it is asked again.
        """
        deadline = time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            done = subprocess.run(
                [shutil.which("erl_call") or "erl_call", "-sname", self.name, "-e"],
                input=f"{expression}.\n",
                env=self._environment(),
                check=False,
                capture_output=True,
                text=True,
                timeout=_ANSWERS_WITHIN_S,
            )
            said = done.stdout.strip()
            if "failed to connect to node" not in done.stderr + said or time.monotonic() > deadline:
                break
        assert said.startswith("{ok, "), f"{expression}: {done.stderr or said}"
        return said.removeprefix("{ok, ").removesuffix("}")

    def messages(self, vhost: str = "/") -> dict[str, int]:
        """How many messages each queue has, held ones included.

        Asks the queues themselves: what the statistics know may be five seconds old.
        """
        counts: dict[str, int] = {}

        def counted() -> bool:
            queues = self.evaluate(
                "[{binary_to_atom(element(4, amqqueue:get_name(Queue))),"
                " element(2, ra:consistent_query(amqqueue:get_pid(Queue),"
                " fun rabbit_fifo:query_messages_total/1))}"
                f' || Queue <- rabbit_amqqueue:list(<<"{vhost}">>)]'
            )
            found = re.findall(r"\{'?([^',]+)'?, (\w+)\}", queues)
            if not all(count.isdecimal() for _, count in found):
                return False  # one has just started and has no leader yet
            counts.update((name, int(count)) for name, count in found)
            return True

        wait_for(counted, _ANSWERS_WITHIN_S, "an answer of every queue")
        return counts

    def manage(self, method: str, path: str, **body: Any) -> Any:
        """Ask the management interface; ``path`` begins after ``/api/``."""
        answer = requests.request(
            method,
            f"http://127.0.0.1:{self._management}/api/{path}",
            auth=(self.user, self.password),
            json=body if method in {"PUT", "POST"} else None,
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def make_vhost(self) -> str:
        """AMQP address of a new, empty virtual host."""
        name = f"test-{uuid4().hex}"
        self.manage("PUT", f"vhosts/{name}")
        self._vhosts.append(name)
        return self.url_of(name)

    def drop_vhost(self, url: str) -> None:
        """Remove a virtual host with all its queues: thirty quorum queues each cost memory."""
        name = url.rpartition("/")[2]
        self.manage("DELETE", f"vhosts/{name}")
        self._vhosts.remove(name)

    @contextmanager
    def slow_disk(self) -> Iterator[None]:
        """Within, quorum queues write nothing down, so they apply nothing: as on a disk that stands still."""
        self.evaluate("sys:suspend(ra_log_wal)")
        try:
            yield
        finally:
            self.evaluate("sys:resume(ra_log_wal)")

    def limit_memory(self, most: str) -> None:
        """Let it raise its alarm when it uses more than so much, such as ``1MB``."""
        self.evaluate(f'vm_memory_monitor:set_vm_memory_high_watermark({{absolute, "{most}"}})')

    def limit_queue(self, pattern: str, *, max_length: int, vhost: str = "/") -> None:
        """An operator's policy: queues that match take no more than so many messages."""
        self.manage(
            "PUT",
            f"operator-policies/{quote(vhost, safe='')}/test-limit",
            **{"pattern": pattern, "definition": {"max-length": max_length}, "apply-to": "queues"},
        )

    def unlimit_queue(self, *, vhost: str = "/") -> None:
        """Take the operator's policy back."""
        self.manage("DELETE", f"operator-policies/{quote(vhost, safe='')}/test-limit")

    def _has_no_mapper(self) -> bool:
        """End the mapper; it refuses until it has noticed that the node is gone."""
        done = subprocess.run(
            [shutil.which("epmd") or "epmd", "-kill"],
            env=self._environment(),
            check=False,
            capture_output=True,
            text=True,
        )
        return "not allowed" not in done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        at = self._folder
        return kept | {
            "HOME": str(at),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(at / "mnesia"),
            "RABBITMQ_LOG_BASE": str(at / "log"),
            "RABBITMQ_PID_FILE": str(at / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(at / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(at / "no-such-file"),
            # A mapper of its own: that of another node would not let this one's name be taken again.
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "RabbitMQ ended"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                pass
            return bool(self.manage("GET", "overview")["node"] == self.name)
        except (OSError, requests.RequestException):
            return False

    def _last_words(self) -> str:
        return "\n".join((self._folder / "output").read_text(errors="replace").splitlines()[-20:])


def require_rabbitmq() -> None:
    """Skip a test, or fail it where services are required, if the broker is not installed."""
    if not (_PROGRAMS / "rabbitmq-server").exists():
        reason = "RabbitMQ is missing: apt install rabbitmq-server"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def rabbit_node() -> Iterator[RabbitNode]:
    """The session's broker. A test that stops it starts it again."""
    require_rabbitmq()
    folder = Path(tempfile.mkdtemp(prefix="vitrine-rabbitmq-"))
    try:
        with RabbitNode(folder) as node:
            yield node
    finally:
        shutil.rmtree(folder, ignore_errors=True)
