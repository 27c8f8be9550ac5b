"""kubectl and helm understand what the page on operations has people type, up to where they ask a cluster."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy.monitoring_files import ROOT
from tests.deploy.rendered import is_value, own_values

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
# A plug-in, which the page says.
NOT_HELMS_OWN = ("helm", "diff")
WITHIN_S = 120
NOBODY = "http://127.0.0.1:9"
KUBECONFIG = f"""\
apiVersion: v1
kind: Config
clusters: [{{name: nobody, cluster: {{server: "{NOBODY}"}}}}]
contexts: [{{name: nobody, context: {{cluster: nobody, user: nobody}}}}]
users: [{{name: nobody}}]
current-context: nobody
"""


def typed(program: str) -> set[tuple[str, ...]]:
    """The commands of a program, in blocks and in sentences, without what a shell makes of them."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    blocks = "\n".join(text for language, text in fenced if not language)
    lines = [line for line in blocks.replace("\\\n", " ").splitlines() if line.startswith(f"{program} ")]
    lines += re.findall(rf"`({program} [^`]+)`", PAGE)
    return {_words(line.replace("REVISION", "3")) for line in lines}


def _words(line: str) -> tuple[str, ...]:
    shell = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    shell.whitespace_split = True
    return tuple(_until_the_shell_s(shell))


def _until_the_shell_s(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if set(word) <= set("|<>;&"):
            return
        yield word


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout with the files that the page has people write, and a cluster that does not answer."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (folder / "my-values.yaml").write_text("backup: {to: s3://other/vitrine}\n")
    (folder / "restore.yaml").write_bytes((ROOT / "deploy/k8s/examples/restore.yaml").read_bytes())
    (folder / "kubeconfig").write_text(KUBECONFIG)
    return folder


@pytest.mark.parametrize(("program", "at_least"), [("kubectl", 30), ("helm", 6)])
def test_every_command_is_understood(
    folder: Path, deploy_tool: Callable[[str], str], program: str, at_least: int
) -> None:
    # Two words are a command's name in a sentence.
    commands = {words for words in typed(program) if words[:2] != NOT_HELMS_OWN and len(words) > 2}
    assert len(commands) >= at_least
    path = deploy_tool(program)
    environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)}

    def refused(words: tuple[str, ...]) -> str:
        done = subprocess.run(
            [path, *words[1:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        # That nobody answers is told when everything else was found right.
        fine = done.returncode == 0 or "refused" in done.stderr
        return "" if fine else f"{shlex.join(words)}: {done.stderr[-300:]}"

    with ThreadPoolExecutor(4) as threads:
        assert [fault for fault in threads.map(refused, sorted(commands)) if fault] == []


def test_a_misspelt_option_would_be_found(folder: Path, deploy_tool: Callable[[str], str]) -> None:
    # What the test above rests on: options are looked at before a cluster is asked.
    for program, words in (
        ("kubectl", ("scale", "deployment/a", "--replica=1")),
        ("helm", ("rollback", "a", "--wat")),
    ):
        done = subprocess.run(
            [deploy_tool(program), *words],
            env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig")},
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode != 0
        assert "refused" not in done.stderr
        assert "unknown flag" in done.stderr


def test_every_make_target_is_one_that_there_is() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", PAGE, re.MULTILINE))
    assert {"chart", "bench"} <= named
    assert named - targets == set()


def test_every_value_that_a_command_sets_is_one_of_the_chart() -> None:
    commands = typed("helm")
    named = {
        after.partition("=")[0]
        for words in commands
        for before, after in itertools.pairwise(words)
        if before == "--set"
    }
    values = own_values()
    assert named
    assert {name for name in named if not is_value(values, name)} == set()
