"""What Terraform, chart and examples have to agree on. `make terraform` does the rest: it takes minutes."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendered import K8S, Helm

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "deploy" / "terraform"
ROLE = "eks.amazonaws.com/role-arn"


def _loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"terraform_{name}", TERRAFORM / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for the module that they are defined in.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


terraforming = _loaded("terraforming")
moto_lacks = _loaded("moto_lacks")


def _text(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((TERRAFORM / folder).glob("*.tf")))


def _named(kind: str, folder: str) -> dict[str, str]:
    """The blocks of a kind, such as ``variable``, by their names."""
    found = re.findall(rf'^{kind} "([\w-]+)" \{{\n(.*?)^\}}', _text(folder), re.MULTILINE | re.DOTALL)
    return dict(found)


def _accounts() -> dict[str, str]:
    """Service accounts that roles are for, by component, of a release called ``vitrine``."""
    found = re.findall(
        r'^\s+(\w+)\s*= "\$\{var\.release\}-([\w-]+)"$|\{ (mlflow) = "\$\{var\.release\}-(\w+)" \}',
        _text("modules/vitrine"),
        re.MULTILINE,
    )
    return {one or other: f"vitrine-{name or further}" for one, name, other, further in found}


def test_the_chart_makes_the_accounts_that_roles_are_for(helm: Helm) -> None:
    accounts = _accounts()
    values = yaml.safe_load((K8S / "chart" / "values.yaml").read_text(encoding="utf-8"))
    assert set(accounts) == set(values["serviceAccount"]["components"])

    rendered = helm.template(
        {
            "serviceAccount": {"components": {one: {"annotations": {ROLE: one}} for one in accounts}},
            "restore": {"enabled": True},
            "backup": {"to": "s3://the-backups/vitrine"},
        }
    )

    made = {
        one["metadata"].get("annotations", {}).get(ROLE): one["metadata"]["name"]
        for one in rendered.objects
        if one["kind"] == "ServiceAccount"
    }
    assert {one: made[one] for one in accounts} == accounts


def test_every_secret_of_the_chart_is_made_and_brought() -> None:
    values = yaml.safe_load((K8S / "chart" / "values.yaml").read_text(encoding="utf-8"))
    wanted = {
        (secret["name"], secret["key"])
        for secret in (
            values["site"]["secretKey"]["secret"],
            values["controller"]["token"]["secret"],
            values["database"]["secret"],
            values["broker"]["secret"],
            values["mlflow"]["backend"]["passwordSecret"],
        )
    }
    examples = (K8S / "examples" / "external-secrets.yaml").read_text(encoding="utf-8")
    brought = {
        (one["spec"]["target"]["name"], entry["secretKey"]): entry["remoteRef"]
        for one in yaml.safe_load_all(examples)
        for entry in one["spec"]["data"]
    }
    made = set(re.findall(r"^\s+(vitrine-\w+)\s*= \{ arn = ", _text("modules/vitrine"), re.MULTILINE))

    assert set(brought) == wanted
    assert made == {name for name, _ in wanted}
    for (name, _), place in brought.items():
        assert place["key"] == f"vitrine/{name.removeprefix('vitrine-')}"


def test_what_external_secrets_looks_for_is_in_the_secrets() -> None:
    examples = (K8S / "examples" / "external-secrets.yaml").read_text(encoding="utf-8")
    passwords = dict(re.findall(r'(\w+) *= \{ key = "([\w-]+)"', _text("modules/passwords")))

    for one in yaml.safe_load_all(examples):
        (entry,) = one["spec"]["data"]
        name = entry["remoteRef"]["key"].removeprefix("vitrine/")
        written = _text(f"modules/{name}") if name in {"database", "broker"} else ""
        keys = re.findall(r"^    (\w+) += ", written, re.MULTILINE) if written else [passwords[name]]
        assert entry["remoteRef"]["property"] in keys, name


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_the_example_settings_are_all_that_an_environment_asks_for(environment: str) -> None:
    folder = f"envs/{environment}"
    variables = _named("variable", folder)
    example = (TERRAFORM / folder / "example.tfvars").read_text(encoding="utf-8")
    given = set(re.findall(r"^(\w+) *=", example, re.MULTILINE))

    assert given <= set(variables)
    assert {name for name, body in variables.items() if "default" not in body} <= given


def test_prod_and_staging_say_the_same_and_differ_in_sizes() -> None:
    assert _named("output", "envs/staging") == _named("output", "envs/prod")
    assert set(_named("variable", "envs/prod")) - set(_named("variable", "envs/staging")) == {"gpu"}
    assert set(_named("variable", "envs/staging")) <= set(_named("variable", "envs/prod"))


@pytest.mark.parametrize("folder", terraforming.folders())
def test_every_variable_and_output_says_what_it_is(folder: str) -> None:
    assert [name for name, body in _named("variable", folder).items() if "description" not in body] == []
    assert [name for name, body in _named("variable", folder).items() if "type " not in body] == []
    assert [name for name, body in _named("output", folder).items() if "description" not in body] == []


def test_no_output_shows_a_password() -> None:
    for folder in terraforming.folders():
        for name, body in _named("output", folder).items():
            assert "password" not in name or "ephemeral   = true" in body
            assert "secret_string" not in body or "ephemeral   = true" in body


def test_states_and_settings_are_no_part_of_the_repository() -> None:
    for name in (
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "terraform.tfvars",
        ".terraform/x",
        ".terraform.lock.hcl",
    ):
        done = subprocess.run(
            ("git", "check-ignore", "--quiet", f"deploy/terraform/envs/prod/{name}"), cwd=ROOT, check=False
        )
        assert done.returncode == 0, name


def test_what_moto_lacks_is_left_out_of_what_is_there() -> None:
    for folder, text in moto_lacks.LACKS.items():
        for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', text, re.MULTILINE):
            assert f'resource "{kind}" "{name}"' in _text(folder)


def test_a_folder_of_plugins_is_found_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(terraforming.PLUGINS, str(tmp_path))

    assert terraforming.plugin_folder() == tmp_path


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 1)])
def test_without_terraform_the_check_says_so(required: str, code: int, tmp_path: Path) -> None:
    check = (sys.executable, str(TERRAFORM / "check.py"))
    environment = {**os.environ, "PATH": str(tmp_path), "REQUIRE_SERVICES": required}

    done = subprocess.run(check, env=environment, capture_output=True, text=True, check=False, timeout=300)

    assert "skipped: terraform is not installed" in done.stdout
    assert done.returncode == code
