"""A real Prometheus and a real Alertmanager for tests: on free ports, each with a folder of its own.

``monitoring`` starts them; whatever the test scrapes may be added and taken away while they run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import requests
import yaml

from tests.plugins.ports import free_ports
from tests.plugins.processes import is_ready, stopped, wait_for

_READY_WITHIN_S = 120
_ANSWERS_WITHIN_S = 30

Targets = Sequence[Mapping[str, Any]]
"""As in a file of ``file_sd_configs``: ``[{"targets": [address], "labels": {…}}]``."""


class _Server:
    """One process that says by ``/-/ready`` that it answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._running = contextlib.ExitStack()

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self, words: Sequence[str]) -> None:
        output = self._running.enter_context((self.folder / "output").open("ab"))
        process = subprocess.Popen(
            words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        self._running.enter_context(stopped(process))

        def serves() -> bool:
            assert process.poll() is None, f"{words[0]} ended: {self.last_words()}"
            return is_ready(f"{self.url}/-/ready")

        wait_for(serves, _READY_WITHIN_S, f"{words[0]} to be ready")

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join((self.folder / "output").read_text(errors="replace").splitlines()[-15:])

    def get(self, path: str, **parameters: Any) -> Any:
        """A question to its interface; ``path`` begins after the port."""
        answer = requests.get(f"{self.url}{path}", params=parameters, timeout=_ANSWERS_WITHIN_S)
        assert answer.ok, f"{answer.status_code}: {answer.text} ({parameters})"
        return answer.json()


class Alertmanager(_Server):
    """``prometheus-alertmanager`` with a configuration."""

    def __init__(self, folder: Path, config: Path) -> None:
        super().__init__(folder)
        self._config = config

    def __enter__(self) -> Self:
        self._start(
            [
                "prometheus-alertmanager",
                f"--config.file={self._config}",
                f"--storage.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--cluster.listen-address=",
            ]
        )
        return self

    def alerts(self) -> list[dict[str, Any]]:
        """What it knows of: ``labels``, ``annotations``, ``receivers``, ``status`` (with ``inhibitedBy``)."""
        found: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return found

    def tell(self, *alerts: Mapping[str, str]) -> None:
        """Fire alerts with these labels, as Prometheus would."""
        body = [{"labels": dict(labels)} for labels in alerts]
        answer = requests.post(f"{self.url}/api/v2/alerts", json=body, timeout=_ANSWERS_WITHIN_S)
        assert answer.ok, answer.text


class Prometheus(_Server):
    """``prometheus`` that scrapes every second.

    Args:
        folder: for its state.
        rules: files of rules.
        targets: what it scrapes from the beginning.
        files: more targets in files of that form, which others write.
        alertmanager: whom it tells of alerts.
        labels: external labels.
        every_s: between two scrapes, and between two evaluations.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Sequence[Path] = (),
        targets: Targets = (),
        files: Sequence[Path] = (),
        alertmanager: Alertmanager | None = None,
        labels: Mapping[str, str] | None = None,
        every_s: int = 1,
    ) -> None:
        super().__init__(folder)
        self.every_s = every_s
        self._targets = self.folder / "targets.json"
        self.scrape(targets)
        config = {
            "global": {
                "scrape_interval": f"{every_s}s",
                "scrape_timeout": f"{every_s}s",
                "evaluation_interval": f"{every_s}s",
                "external_labels": dict(labels or {}),
            },
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": "vitrine",
                    "file_sd_configs": [
                        {
                            "files": [str(path) for path in (self._targets, *files)],
                            "refresh_interval": "1s",
                        }
                    ],
                }
            ],
        }
        if alertmanager is not None:
            told = {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}
            config["alerting"] = {
                "alertmanagers": [told],
                "alert_relabel_configs": [{"action": "labeldrop", "regex": "vitrine_docs"}],
            }
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        self._start(
            [
                "prometheus",
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                # A shortened wait is not rounded up to the ten minutes after which alerts are taken up again.
                "--rules.alert.for-grace-period=0s",
                # Alerts end at Alertmanager soon after they ended here.
                f"--rules.alert.resend-delay={self.every_s}s",
            ]
        )
        return self

    def scrape(self, targets: Targets) -> None:
        """Scrape these from now on, and no others but those of ``files``."""
        draft = self._targets.with_suffix(".draft")
        draft.write_text(json.dumps(list(targets)))
        draft.replace(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant vector: ``metric`` and ``value`` (time and text) of each."""
        data = self.get("/api/v1/query", query=expression)["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        found: list[dict[str, Any]] = data["result"]
        return found

    def value(self, expression: str) -> float | None:
        """The value of what has one sample at most; None: there is none."""
        samples = self.query(expression)
        assert len(samples) <= 1, f"{expression}: {samples}"
        return float(samples[0]["value"][1]) if samples else None

    def metrics(self) -> set[str]:
        """Names of all metrics that a target told of, with and without samples, without suffixes."""
        return set(self.get("/api/v1/metadata")["data"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its state."""
        groups = self.get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self, name: str) -> list[dict[str, Any]]:
        """Alerts of that name that fire now: ``labels``, ``annotations``, ``value``."""
        found = self.get("/api/v1/alerts")["data"]["alerts"]
        return [
            alert for alert in found if alert["labels"]["alertname"] == name and alert["state"] == "firing"
        ]

    def await_firing(self, name: str, *, within_s: float, **labels: str) -> float:
        """Return when such an alert fires; gives the seconds that it took."""
        return _await(lambda: self._fires(name, labels), within_s, f"{name} {labels} to fire")

    def await_resolved(self, name: str, *, within_s: float, **labels: str) -> float:
        """Return when no such alert fires any more; gives the seconds that it took."""
        return _await(lambda: not self._fires(name, labels), within_s, f"{name} {labels} to be resolved")

    def _fires(self, name: str, labels: Mapping[str, str]) -> bool:
        return any(labels.items() <= alert["labels"].items() for alert in self.firing(name))


def _await(condition: Callable[[], bool], within_s: float, what: str) -> float:
    began = time.monotonic()
    wait_for(condition, within_s, what)
    return time.monotonic() - began


def require_prometheus() -> None:
    """Skip a test, or fail it where services are required, if Prometheus or Alertmanager is not installed."""
    missing = [
        name
        for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
        if shutil.which(name) is None
    ]
    if missing:
        reason = f"{', '.join(missing)} missing: apt install prometheus prometheus-alertmanager"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def prometheus_installed() -> None:
    """Prometheus, Alertmanager and their tools are there."""
    require_prometheus()


@pytest.fixture
def alertmanager(tmp_path: Path, prometheus_installed: None) -> Iterator[Callable[[Path], Alertmanager]]:
    """Starts an Alertmanager with a configuration; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda config: stack.enter_context(Alertmanager(tmp_path / "alertmanager", config))


@pytest.fixture
def prometheus(tmp_path: Path, prometheus_installed: None) -> Iterator[Callable[..., Prometheus]]:
    """Starts a Prometheus with the arguments of :class:`Prometheus`; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **arguments: stack.enter_context(Prometheus(tmp_path / "prometheus", **arguments))
