"""List what is in each image, by its locks: ``python deploy/release/sbom.py``, as ``make sbom`` does.

One file for each image in CycloneDX 1.6, ``vitrine-NAME-VERSION.cdx.json``: what is installed of the locks
that its Dockerfile reads, with the hashes that are allowed. What the base holds, only a scan of it says.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

ROOT = Path(__file__).resolve().parents[2]
_TOOLS = ROOT / ".venv-deploy" / "bin"
# Where the images run; their base has this Python.
_IMAGE = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
_LOCK = re.compile(r"^COPY requirements/(\w+)\.txt ", re.MULTILINE)
# What installs is left behind in its stage.
_BUILDING = "build"


class SbomError(Exception):
    """A list cannot be made; the message says why."""


def main() -> int:
    """Returns 1 if a list cannot be made, else 0."""
    parser = argparse.ArgumentParser(description="List what is in each image.")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "sbom", help="folder of the lists")
    asked = parser.parse_args()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    asked.to.mkdir(parents=True, exist_ok=True)
    try:
        for dockerfile in sorted((ROOT / "docker").glob("*.Dockerfile")):
            name = dockerfile.name.partition(".")[0]
            listed = sbom(name, version, dockerfile.read_text(encoding="utf-8"))
            file = asked.to / f"vitrine-{name}-{version}.cdx.json"
            file.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
            sys.stdout.write(f"{file}: {len(listed['components'])} packages\n")
    except SbomError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def sbom(name: str, version: str, dockerfile: str) -> dict[str, Any]:
    """What is installed in an image, as a CycloneDX document; the same locks give the same document.

    Raises:
        SbomError: the Dockerfile reads no lock, a line of a lock is none, or cyclonedx-py refuses it.
    """
    locks = [lock for lock in _LOCK.findall(dockerfile) if lock != _BUILDING]
    if not locks:
        raise SbomError(f"the Dockerfile of {name} installs no lock")
    lines = [line for lock in locks for line in _installed(ROOT / "requirements" / f"{lock}.txt")]
    program = shutil.which("cyclonedx-py", path=str(_TOOLS)) or shutil.which("cyclonedx-py")
    if program is None:
        raise SbomError("cyclonedx-py is not installed: make deploy-tools")
    options = ("--output-reproducible", "--no-validate", "--sv", "1.6", "--of", "JSON", "-o", "-", "-")
    done = subprocess.run(
        [program, "requirements", *options],
        check=False,
        text=True,
        input="\n".join(lines) + "\n",
        capture_output=True,
        timeout=300,
    )
    if done.returncode != 0:
        raise SbomError(f"cyclonedx-py, image {name}: {done.stderr.strip()}")
    listed: dict[str, Any] = json.loads(done.stdout)
    _name_after(listed, name, version)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(listed))
    if fault is not None:
        raise SbomError(f"the list of {name} is no CycloneDX: {fault}")
    return listed


def _installed(lock: Path) -> list[str]:
    """The lines of a lock that are installed where the images run, hashes and all, without their markers."""
    found = []
    for line in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        said, *hashes = line.split("--hash=")
        if not said.strip() or said.lstrip().startswith("#"):
            continue
        try:
            requirement = Requirement(said.strip())
            wanted = requirement.marker is None or requirement.marker.evaluate(_IMAGE)
        except (InvalidRequirement, UndefinedEnvironmentName) as error:
            raise SbomError(f"{lock.name}: {said.strip()}: {error}") from error
        if wanted:
            pinned = f"{requirement.name}{requirement.specifier}"
            found.append(" ".join((pinned, *(f"--hash={each.strip()}" for each in hashes))))
    return found


def _name_after(listed: dict[str, Any], name: str, version: str) -> None:
    reference = f"vitrine/{name}@{version}"
    parts = [component["bom-ref"] for component in listed["components"]]
    listed.setdefault("metadata", {})["component"] = {
        "bom-ref": reference,
        "type": "container",
        "name": f"vitrine/{name}",
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    listed["dependencies"] = [
        {"ref": reference, "dependsOn": sorted(parts)},
        *(each for each in listed.get("dependencies", []) if each["ref"] != reference),
    ]


if __name__ == "__main__":
    sys.exit(main())
