"""Terraform, and what it works on: a copy of this folder, so that nothing of it lies in the tree afterwards.

A provider is 700 MB and comes from a registry. Where a folder of plugins is on the machine it is taken from
there (:func:`plugin_folder`), else from the network.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLUGINS = "VITRINE_TERRAFORM_PLUGINS"
"""The variable that names a folder of plugins: it holds ``HOST/hashicorp/aws/…``."""

_PROVIDER = "*/hashicorp/aws"
_USUAL_PLACES = ("/opt", "/usr/local", "/usr/share", "~/.terraform.d")
_OLDEST = (1, 11)
_WITHIN_S = 1200
_DEPLOY = ROOT / ".venv-deploy" / "bin"


class MissingToolError(Exception):
    """A program or the provider is not to be had; the message says which, and how to get it."""


class RefusedError(Exception):
    """Terraform ended with another code than it should; the message is what it said."""


def program(name: str) -> str:
    """Path of a program: of ``make deploy-tools``, else of the search path.

    Raises:
        MissingToolError: it is in neither.
    """
    found = shutil.which(name, path=os.pathsep.join((str(_DEPLOY), os.environ.get("PATH", ""))))
    if found is None:
        how = "see the documentation of Terraform" if name == "terraform" else "make deploy-tools"
        raise MissingToolError(f"{name} is not installed: {how}")
    return found


def plugin_folder() -> Path | None:
    """The folder of plugins that the environment names, or one in a usual place."""
    named = os.environ.get(PLUGINS)
    if named:
        return Path(named)
    for place in _USUAL_PLACES:
        for depth in ("", "*/", "*/*/"):
            for found in sorted(Path(place).expanduser().glob(f"{depth}{_PROVIDER}")):
                return found.parents[2]
    return None


def folders() -> list[str]:
    """Every folder that Terraform can begin in, and every module: relative to this one."""
    found = {path.parent.relative_to(HERE) for path in HERE.rglob("*.tf") if ".terraform" not in path.parts}
    return sorted(map(str, found))


def roots() -> list[str]:
    """Those that have a provider: what is applied."""
    return [folder for folder in folders() if not folder.startswith("modules/")]


def has_ephemeral_outputs(folder: str) -> bool:
    """Whether it can only be validated as part of what calls it: no root may have such outputs."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((HERE / folder).glob("*.tf")))
    return any(re.search(r"^  ephemeral\s*=\s*true", block, re.MULTILINE) for block in _outputs(text))


def _outputs(text: str) -> Iterator[str]:
    for found in re.finditer(r'^output "\w+" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        yield found[1]


@dataclass(frozen=True)
class Terraform:
    """Terraform in a copy of this folder."""

    program: str
    tree: Path
    data: Path
    """Where it keeps what it installs and notes, a folder for each root."""
    plugins: Path | None
    # One cache of providers does not bear two that fill it.
    _filling: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def prepared(cls, work: Path) -> Terraform:
        """With a fresh copy of this folder in ``work``.

        Raises:
            MissingToolError: no Terraform, or one that is too old.
        """
        name = program("terraform")
        tree, data = work / "tree", work / "data"
        left = (".terraform*", "*.tfstate*", "terraform.tfvars", "*.py", "__pycache__")
        shutil.copytree(HERE, tree, ignore=shutil.ignore_patterns(*left))
        data.mkdir()
        (work / "cache").mkdir()
        (work / "settings.tfrc").touch()
        terraform = cls(name, tree, data, plugin_folder())
        told = terraform.call(".", "version", "-json").stdout
        version = str(json.loads(told)["terraform_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise MissingToolError(f"Terraform {version} is too old: it has to be 1.11 or later")
        return terraform

    def apart(self) -> Terraform:
        """The same with a copy of its own, for what goes on at the same time."""
        tree, data = self.tree.with_name("rehearsed"), self.data.with_name("rehearsed-data")
        shutil.copytree(self.tree, tree, ignore=shutil.ignore_patterns(".terraform*"))
        data.mkdir()
        return dataclasses.replace(self, tree=tree, data=data)

    def call(
        self, folder: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Terraform in a folder of the copy, however it ends."""
        settings = {
            "TF_DATA_DIR": str(self.data / folder.replace("/", "-")),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        if self.plugins is None:
            settings["TF_PLUGIN_CACHE_DIR"] = str(self.data.parent / "cache")
        else:
            # Mirrors of whoever calls this have no say where plugins are in a folder.
            settings["TF_CLI_CONFIG_FILE"] = str(self.data.parent / "settings.tfrc")
        return subprocess.run(
            (self.program, *words),
            cwd=self.tree / folder,
            env={**os.environ, **settings, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )

    def run(self, folder: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """What Terraform writes.

        Raises:
            RefusedError: it ends with another code than 0.
        """
        done = self.call(folder, *words, "-no-color", environment=environment)
        if done.returncode:
            raise RefusedError(f"terraform {words[0]} in {folder}:\n{essence(done)}")
        return done.stdout

    def init(self, folder: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
        """Install what a folder needs; without ``words`` it gets no backend.

        Raises:
            MissingToolError: the provider is not to be had.
            RefusedError: Terraform refuses for another reason.
        """
        source = () if self.plugins is None else (f"-plugin-dir={self.plugins}",)
        with self._filling:
            done = self.call(
                folder, "init", "-no-color", *source, *(words or ("-backend=false",)), environment=environment
            )
        if done.returncode == 0:
            return
        said = essence(done)
        if "Failed to query available provider packages" in said or "Failed to install provider" in said:
            where = f"neither a folder of plugins ({PLUGINS}) nor the registry"
            raise MissingToolError(f"the provider hashicorp/aws is not to be had: {where}\n{said}")
        raise RefusedError(f"terraform init in {folder}:\n{said}")


def essence(done: subprocess.CompletedProcess[str], lines: int = 60) -> str:
    """The errors in what Terraform wrote, or the end of it."""
    said = done.stdout + done.stderr
    errors = said.find("Error:")
    return "\n".join((said[errors:] if errors >= 0 else said).splitlines()[-lines:])
