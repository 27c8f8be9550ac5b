"""From the first line to the address: starts everything in the order that is quickest, and stops it."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dam.embedded import processes, scraping, system
from dam.embedded.console import Teller
from dam.embedded.errors import EmbeddedError
from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.state import read_state, state_file, update_state
from dam.embedded.supervisor import Child, Stopped, Supervisor, log_of
from dam.embedded.system import Layout
from pipeline.secret_files import SecretFileError, secret, secret_source

_STEP_WITHIN_S = 1800.0
_READY_WITHIN_S = 300.0


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home for ourselves.

    Raises:
        EmbeddedError: another system runs on it, or we may not write there.
    """
    try:
        state_file(home).parent.mkdir(parents=True, exist_ok=True)
        lock = (home / "run" / "lock").open("ab")
    except OSError as error:
        raise EmbeddedError(f"VITRINE_HOME is {home}, which cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state(home)
            raise EmbeddedError(
                f"Vitrine already runs on this folder, {home}: process {state.get('pid', 'unknown')}, "
                f"{state.get('address', 'still starting')}. Stop it there with Ctrl-C, or set VITRINE_HOME "
                "to another folder for a second system."
            ) from None
        yield


def end_leftovers(home: Path) -> None:
    """End the processes of a system on this home that was killed; we hold its lock, so they serve nobody."""

    def ours() -> list[int]:
        return processes.running(lambda pid: processes.environment_has(pid, system.MARK, str(home)))

    if left := processes.end(ours, steps=((signal.SIGKILL, 10.0),)):
        raise EmbeddedError(f"Processes of an earlier run on {home} do not end: {left}.")


def model_versions(models: Path) -> list[Path]:
    """The exported versions in a model's folder, oldest first."""
    found = [path.parent for path in models.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    return sorted(found, key=lambda path: int(path.name))


class EmbeddedSystem:
    """One run of the whole system on a home that we hold."""

    def __init__(self, home: Path, tell: Teller) -> None:
        self.home = home
        self.tell = tell
        self.supervisor = Supervisor(tell, on_change=lambda pids: update_state(home, pids=pids))
        self._tasks: list[Child] = []

    def run(self) -> int:
        """Start the system, keep it running until we are asked to stop. Returns the exit code.

        Raises:
            EmbeddedError: the port that was asked for is taken; nothing was started.
        """
        self.supervisor.listen_to_signals()
        self._forget()
        code = 0
        web = system.web_socket(os.environ)
        try:
            self._start(web)
            self.supervisor.run_until_stopped()
        except Stopped:
            pass
        except (EmbeddedError, SecretFileError) as error:
            self.tell.say(f"\n{error}", style="red")
            code = 1
        finally:
            self.tell.say("\nStopping …")
            for task in self._tasks:
                task.end()
            self.supervisor.stop(system.STOP_ORDER)
            web.close()
            self._forget()
            self.tell.say("Stopped.")
        return code

    def _forget(self) -> None:
        """Leave in the state only what is true without running processes."""
        update_state(
            self.home,
            pid=None,
            address=None,
            port=None,
            model_servers=None,
            model_server_rest=None,
            pids=None,
            health_ports=None,
        )
        scraping.remove_targets(self.home)

    def _start(self, web: socket.socket) -> None:
        server = EmbeddedPostgres(self.home)
        url = secret("DATABASE_URL")
        grpc_port, rest_port = system.model_ports()
        ports = system.health_ports()
        layout = Layout(self.home, url or server.url, grpc_port, rest_port, web, ports)
        update_state(
            self.home,
            pid=os.getpid(),
            port=web.getsockname()[1],
            # Another server's address may hold a password, and everybody may read this file.
            database_url=None if url else layout.database_url,
            model_servers=layout.model_server,
            model_server_rest=f"http://{system.HOST}:{rest_port}",
            health_ports=ports,
        )
        scraping.write_targets(layout)

        # What takes longest goes first: the model server imports TensorFlow, or the model is built.
        if not system.has_registry(self.home, os.environ):
            # Nobody but the newest version can be meant; the model server writes it anew.
            layout.models_config.unlink(missing_ok=True)
        build: Child | None = None
        if model_versions(layout.models):
            self._start_model_server(layout)
        else:
            words = ("model_training", "build-default", "--to", str(layout.models.parent))
            build = self._task(layout, "build_model", *words)
        if url:
            source = secret_source("DATABASE_URL")
            self.tell.say(f"The database is that of {source}; none is started here.")
        else:
            created = server.data.exists()
            with self.tell.step("Starting the database" if created else "Creating the database"):
                self.supervisor.start(system.Database(server))
        self._finish(self._task(layout, "migrate", "dam.cli", "migrate"), "Bringing its tables up to date")
        account = self._service_account(layout)
        if build is not None:
            self._finish(build, "Building the default model, this once")
            self._start_model_server(layout)
        for service in (system.web, system.relay, system.worker):
            self.supervisor.start(service(layout))
        self._finish(account, "Making the account of the controller")
        self._register_models(layout)
        # It reads answers by the tags of the model that gave them.
        self.supervisor.start(system.results_writer(layout))
        with self.tell.step("Starting the model server and the pages"):
            link = self._sign_in_link(layout)
            self.supervisor.wait_for(
                lambda: layout.model_server_ready.exists() and _answers(layout.web),
                what="Starting the model server and the pages",
                within_s=_READY_WITHIN_S,
            )
        self.supervisor.start(system.controller(layout))
        self.supervisor.start(system.monitor(layout))
        update_state(self.home, address=layout.address)
        self._welcome(layout, link)

    def _register_models(self, layout: Layout) -> None:
        # With a registry not every version that lies there serves; the controller tells of the one that does.
        options = ("--keep-known",) if system.has_registry(self.home, os.environ) else ()
        for version in model_versions(layout.models):
            words = ("register_model", str(version), *options)
            register = self._task(layout, "register_model", "dam.cli", *words)
            self._finish(register, f"Reading the tags of model {version.name}")

    def _service_account(self, layout: Layout) -> Child:
        words = ("service_account", "controller", "--permission", "rollout.manage_rollout")
        token = str(layout.controller_token)
        return self._task(layout, "service_account", "dam.cli", *words, "--token-file", token)

    def _start_model_server(self, layout: Layout) -> None:
        layout.model_server_ready.unlink(missing_ok=True)
        self.supervisor.start(system.model_server(layout))

    def _task(self, layout: Layout, name: str, *words: str) -> Child:
        """Start something that ends by itself."""
        task = Child(name, system.command(layout, *words), log=log_of(self.home, name))
        task.start()
        self._tasks.append(task)
        return task

    def _finish(self, task: Child, title: str) -> None:
        """Wait until a task is done.

        Raises:
            EmbeddedError: it failed.
        """
        with self.tell.step(title) as progress:
            self.supervisor.wait_for(
                task.has_ended,
                what=title,
                within_s=_STEP_WITHIN_S,
                progress=lambda: progress(task.log.last_line()),
            )
            if code := task.end():
                raise EmbeddedError(
                    f"{title} failed (exit code {code}). The end of {task.log.path}:\n\n{task.log.tail()}"
                )

    def _sign_in_link(self, layout: Layout) -> str:
        """The one-time link for the first administrator; empty if one has signed in already."""
        # Not into a log: whoever reads the link may use it.
        with tempfile.TemporaryFile() as said:
            process = processes.spawn(
                system.command(layout, "dam.cli", "sign_in_link", "--first-admin"), said
            )
            try:
                self.supervisor.wait_for(
                    lambda: processes.has_ended(process),
                    what="Making the sign-in link",
                    within_s=_STEP_WITHIN_S,
                )
            finally:
                code = processes.reap(process)
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
        if code:
            # Whoever has an account gets in without it.
            self.tell.say("No sign-in link could be made:\n" + "\n".join(lines[-4:]), style="red")
            return ""
        links = [line.strip() for line in lines if line.startswith(("/", "http"))]
        return links[-1] if links else ""

    def _welcome(self, layout: Layout, link: str) -> None:
        port = layout.web.getsockname()[1]
        if port != system.DEFAULT_PORT and not os.environ.get("VITRINE_PORT"):
            self.tell.say(
                f"\nPort {system.DEFAULT_PORT} is taken, so this one is {port} (VITRINE_PORT sets another)."
            )
        self.tell.say(f"\nVitrine runs at {layout.address}", style="bold")
        if link:
            link = layout.address + link if link.startswith("/") else link
            self.tell.say(f"Sign in as the first administrator, once, with {link}")
        self.tell.say(f"Pictures and database: {self.home}. Logs: {self.home / 'logs'}. Ctrl-C stops it.")


def _answers(web: socket.socket) -> bool:
    """Whether the site says that it is ready."""
    host, port = web.getsockname()
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    with closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
