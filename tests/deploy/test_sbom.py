"""Lists of what is installed in the images."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.deploy.monitoring_files import ROOT
from tests.deploy.test_image_files import packages
from tests.plugins.release_checkout import IMAGES


def test_a_list_names_what_is_installed_in_the_image_and_nothing_else(
    tmp_path: Path, deploy_tool: Callable[[str], str]
) -> None:
    deploy_tool("cyclonedx-py")
    command = [deploy_tool("python"), str(ROOT / "deploy" / "release" / "sbom.py"), "--to", str(tmp_path)]
    done = subprocess.run(command, check=False, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr
    lists = {path.name.split("-")[1]: json.loads(path.read_text()) for path in tmp_path.glob("*.cdx.json")}
    assert lists.keys() == set(IMAGES)
    for name, listed in lists.items():
        assert listed["metadata"]["component"]["name"] == f"vitrine/{name}"
        found = {f"{each['name']}=={each['version']}" for each in listed["components"]}
        locked = packages(name)
        everywhere = {line for line in locked if ";" not in line}
        assert everywhere <= found
        assert not {line.partition(" ;")[0] for line in locked if "== 'win32'" in line} & found
        assert all("SHA-256" in json.dumps(each) for each in listed["components"])
    assert "django" in {each["name"] for each in lists["catalogue"]["components"]}
    assert "tensorflow" not in {each["name"] for each in lists["worker"]["components"]}
