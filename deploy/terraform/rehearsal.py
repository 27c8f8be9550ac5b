"""The environments as they would be applied, moto in place of AWS: from the states' bucket to ``destroy``.

What is not as it would be:

- ``override.tf``, of two lines, in the copy of each root: addresses such as ``BUCKET.127.0.0.1`` are none.
- moto refuses by every Deny of a bucket's policy, whatever its conditions say: once it was looked at, the
  policy of the bucket for the states is taken away, or no state could be written.
- ``moto_lacks.py`` says what moto has not, or has otherwise.
- moto has no network, no PostgreSQL and no RabbitMQ: that a node reaches them is not seen here.

Everything else is applied as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto_lacks import LACKS
from stand_in import ACCOUNT, REGION, Moto
from terraforming import RefusedError, Terraform, essence

ENVIRONMENTS: Mapping[str, Mapping[str, str]] = {
    "staging": {"region": REGION},
    # All that can be switched on; and elsewhere, for moto gives all databases of a region one id.
    "prod": {"region": "eu-west-1", "gpu": "true", "mlflow": "true"},
}
_OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n}\n'
_CHANGES = 2
"""Of ``plan -detailed-exitcode``."""


@dataclass(frozen=True)
class Rehearsal:
    """Environments of one account that moto plays."""

    terraform: Terraform
    moto: Moto
    backend: Path
    """What :meth:`make_state_bucket` writes for ``init`` of the environments."""

    def make_state_bucket(self) -> int:
        """Apply ``state/`` and plan it again; returns of how many resources it consists.

        Raises:
            RefusedError: it cannot be applied, is not finished by that, or its policy does not ask for TLS.
        """
        for module, text in LACKS.items():
            (self.terraform.tree / module / "moto_override.tf").write_text(text, encoding="utf-8")
        folder, region = "state", ("-var", f"region={REGION}")
        self._override(folder)
        self.terraform.init(folder, environment=self.moto.environment)
        self._apply(folder, *region)
        self._again(folder, *region)
        told = self._run(folder, "output", "-raw", "backend")
        bucket = f"vitrine-terraform-{ACCOUNT}"
        if f'"{bucket}"' not in told:
            raise RefusedError(f"the output `backend` of state/ does not name {bucket}:\n{told}")
        if "aws:SecureTransport" not in self.moto.bucket_policy(bucket):
            raise RefusedError(f"the policy of {bucket} does not ask for TLS")
        self.moto.drop_bucket_policy(bucket)
        self.backend.write_text(told + "use_path_style = true\n", encoding="utf-8")
        return self.resources(folder)

    def apply(self, environment: str) -> int:
        """Apply an environment, its state in that bucket; returns of how many resources it consists."""
        folder = f"envs/{environment}"
        self._override(folder)
        words = ("-reconfigure", f"-backend-config={self.backend}")
        self.terraform.init(folder, *words, environment=self.moto.environment)
        self._apply(folder, *_variables(environment))
        return self.resources(folder)

    def again(self, environment: str) -> int:
        """Plan it a second time; returns how many resources were looked at.

        Raises:
            RefusedError: something would be changed by applying the same again.
        """
        folder = f"envs/{environment}"
        self._again(folder, *_variables(environment))
        return self.resources(folder)

    def destroy(self, environment: str) -> int:
        """Destroy it; returns how many resources were there.

        Raises:
            RefusedError: something is left, or cannot be deleted.
        """
        folder = f"envs/{environment}"
        resources = self.resources(folder)
        self._run(folder, "destroy", "-auto-approve", *_variables(environment))
        left = self.resources(folder)
        if left:
            raise RefusedError(f"{folder}: {left} resources are left after destroy")
        return resources

    def database_stays(self, environment: str) -> int:
        """Try to destroy its database; returns 1.

        Raises:
            RefusedError: it goes, or stays for another reason than its protection.
        """
        folder, address = f"envs/{environment}", "module.vitrine.module.database.aws_db_instance.this"
        words = ("destroy", "-auto-approve", "-no-color", f"-target={address}", *_variables(environment))
        done = self.terraform.call(folder, *words, environment=self.moto.environment)
        if done.returncode == 0 or "deletion protection" not in done.stderr + done.stdout:
            raise RefusedError(f"{folder}: the database is not protected from destroy:\n{essence(done)}")
        return 1

    def outputs(self, environment: str) -> dict[str, Any]:
        """The outputs of an environment, by their names."""
        told = json.loads(self._run(f"envs/{environment}", "output", "-json"))
        return {name: output["value"] for name, output in told.items()}

    def secret(self, environment: str, name: str) -> dict[str, Any]:
        """What a secret of an environment says."""
        told: dict[str, Any] = json.loads(self.moto.secret(name, ENVIRONMENTS[environment]["region"]))
        return told

    def state(self, folder: str) -> str:
        """The whole state, as it lies in the bucket."""
        return self._run(folder, "state", "pull")

    def resources(self, folder: str) -> int:
        """How many resources the state has."""
        return sum(len(resource["instances"]) for resource in _managed(self.state(folder)))

    def _override(self, folder: str) -> None:
        (self.terraform.tree / folder / "override.tf").write_text(_OVERRIDE, encoding="utf-8")

    def _apply(self, folder: str, *words: str) -> None:
        self._run(folder, "apply", "-auto-approve", *words)

    def _again(self, folder: str, *words: str) -> None:
        asked = ("plan", "-detailed-exitcode", "-no-color", *words)
        done = self.terraform.call(folder, *asked, environment=self.moto.environment)
        if done.returncode == _CHANGES:
            raise RefusedError(f"{folder}: the second plan is not empty:\n{_changes(done.stdout)}")
        if done.returncode:
            raise RefusedError(f"{folder}: the second plan:\n{essence(done)}")

    def _run(self, folder: str, *words: str) -> str:
        # With -no-color before what belongs to a subcommand: `state pull` takes none.
        if words[0] == "state":
            done = self.terraform.call(folder, *words, environment=self.moto.environment)
            if done.returncode:
                raise RefusedError(f"terraform {' '.join(words)} in {folder}:\n{essence(done)}")
            return done.stdout
        return self.terraform.run(folder, *words, environment=self.moto.environment)


def instances(state: str, kind: str) -> list[dict[str, Any]]:
    """What a state knows of every resource of a kind, such as ``aws_iam_role``."""
    return [
        instance["attributes"]
        for resource in _managed(state)
        if resource["type"] == kind
        for instance in resource["instances"]
    ]


def _changes(plan: str) -> str:
    begin = plan.find("Terraform will perform")
    return plan[max(begin, 0) :]


def _managed(state: str) -> Iterator[dict[str, Any]]:
    # An empty state is no JSON at all.
    told = json.loads(state) if state.strip() else {"resources": []}
    return (resource for resource in told["resources"] if resource["mode"] == "managed")


def _variables(environment: str) -> list[str]:
    settings = ["-var-file=example.tfvars"]
    for name, value in ENVIRONMENTS[environment].items():
        settings += ["-var", f"{name}={value}"]
    return settings
