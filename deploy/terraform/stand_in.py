"""``moto_server``: the interfaces of AWS on this machine, for as long as a rehearsal takes."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from terraforming import program

REGION = "eu-central-1"
ACCOUNT = "123456789012"
"""Everybody's in moto, and that of the example settings."""

_READY_WITHIN_S = 120
_STOPS_WITHIN_S = 20


class MotoError(Exception):
    """It did not start; the message is what it said."""


@dataclass(frozen=True)
class Moto:
    """A server that answers."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        """What sends Terraform and its backend there instead of to AWS, with credentials that are none."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PROFILE": "",
            "AWS_CA_BUNDLE": "",
        }

    def secret(self, name: str, region: str) -> str:
        """What a secret of Secrets Manager says."""
        return str(self._client("secretsmanager", region).get_secret_value(SecretId=name)["SecretString"])

    def bucket_policy(self, bucket: str) -> str:
        """The policy of a bucket."""
        return str(self._client("s3").get_bucket_policy(Bucket=bucket)["Policy"])

    def drop_bucket_policy(self, bucket: str) -> None:
        """Take it away: moto refuses by every Deny, whatever its conditions say."""
        self._client("s3").delete_bucket_policy(Bucket=bucket)

    def _client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name=region,
            aws_access_key_id="rehearsal",
            aws_secret_access_key="rehearsal",  # noqa: S106 – moto asks for none
        )


@contextmanager
def running(log: Path) -> Iterator[Moto]:
    """A server on a free port.

    Args:
        log: file of what it writes.

    Raises:
        MissingToolError: moto is not installed.
        MotoError: it does not answer.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Roles are attached to policies of AWS's own; they are 40 MB of JSON that moto leaves out by default.
    environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            (program("moto_server"), "--host", "127.0.0.1", "--port", str(port)),
            stdout=written,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        moto = Moto(f"http://127.0.0.1:{port}")
        _wait(moto, process, log)
        yield moto
    finally:
        process.terminate()
        try:
            process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(moto: Moto, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + _READY_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up:
        host, _, port = moto.address.removeprefix("http://").partition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise MotoError(f"moto_server does not answer:\n{said}")
