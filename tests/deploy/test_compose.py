"""``docker/compose.yaml`` by compose's own schema, and what it promises of every service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dam.embedded.state import ROOT
from dam.monitoring.doctor.variables import KNOWN
from tests.plugins.compose_files import BY_HAND, DOCKER, FILES, ONE_SHOTS, VERSION, Config, Configured

_PROFILES = {
    "core": {
        *("postgres", "rabbitmq", "object-store", "model-server"),
        *("catalogue", "relay", "writer", "monitor", "worker"),
        *ONE_SHOTS,
    },
    "training": {"mlflow", "controller"},
    "monitoring": {"prometheus", "alertmanager", "grafana"},
    "backup": set(BY_HAND),
}
_TOGETHER = [("core",), ("core", "training"), ("core", "monitoring"), tuple(_PROFILES)]
_LOCAL = DOCKER / "compose.local.yaml"


@pytest.fixture(scope="session")
def whole(configured: Configured) -> Config:
    return configured(*_PROFILES)


def raw(file: Path) -> Config:
    class Loader(yaml.SafeLoader):
        """Of compose's own tags only what stands behind them matters."""

    Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))
    found: Config = yaml.load(file.read_text(), Loader)
    return found


# --------------------------------------------------------------------- the files


@pytest.mark.parametrize("files", [FILES[:1], FILES], ids=["compose", "local"])
@pytest.mark.parametrize("profiles", _TOGETHER, ids="+".join)
def test_every_profile_is_valid_and_holds_its_services(
    configured: Configured, profiles: tuple[str, ...], files: tuple[Path, ...]
) -> None:
    wanted = set.union(*(_PROFILES[name] for name in profiles))
    without = {"grafana"} if _LOCAL in files else set()
    assert set(configured(*profiles, files=files)["services"]) == wanted - without


def test_stand_ins_change_images_and_commands_and_nothing_else() -> None:
    assert "STAND-INS" in _LOCAL.read_text().splitlines()[0]
    local = raw(_LOCAL)
    assert set(local) == {"services"}
    # There is none for Grafana.
    assert local["services"].pop("grafana") == {"profiles": ["grafana"]}
    for name, changed in local["services"].items():
        assert set(changed) <= {"image", "entrypoint", "command"}, name


def test_every_image_has_a_version_that_can_be_changed(
    configured: Configured, every_service: dict[str, Config]
) -> None:
    for name, service in raw(FILES[0])["services"].items():
        assert service.get("image", "${VITRINE_VERSION:-").startswith("${"), name
    for name, service in every_service.items():
        assert re.fullmatch(r"[a-z0-9./-]+:v?[0-9][\w.-]*", service["image"]), name
    variables = set(re.findall(r"\$\{(\w+_IMAGE):-", FILES[0].read_text()))
    assert len(variables) == 7
    ours = {"VITRINE_REGISTRY": "registry.example.org/", "VITRINE_VERSION": "9.9.9"}
    changed = configured(*_PROFILES, **dict.fromkeys(variables, "mirror/image:1"), **ours)["services"]
    assert {service["image"] for service in changed.values()} == {
        "mirror/image:1",
        *(f"registry.example.org/vitrine/{name}:9.9.9" for name in ("catalogue", "worker", "training")),
    }


def test_our_images_are_of_this_version_by_default(every_service: dict[str, Config]) -> None:
    images = {
        service["image"] for service in every_service.values() if service["image"].startswith("vitrine/")
    }
    assert images == {f"vitrine/{name}:{VERSION}" for name in ("catalogue", "worker", "training")}


def test_every_file_that_is_mounted_is_there(every_service: dict[str, Config]) -> None:
    mounted = [
        Path(volume["source"])
        for service in every_service.values()
        for volume in service.get("volumes", ())
        if volume["type"] == "bind"
    ]
    assert len(mounted) >= 8
    assert [path for path in mounted if not path.exists() or not path.is_relative_to(ROOT)] == []


# ------------------------------------------------------------------ every service


def test_every_service_that_runs_on_is_watched_restarted_and_ended_in_time(
    every_service: dict[str, Config],
) -> None:
    for name in every_service.keys() - {*ONE_SHOTS, *BY_HAND}:
        service = every_service[name]
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        assert service["healthcheck"]["start_period"], name
        assert service["stop_grace_period"], name


def test_what_runs_to_its_end_is_waited_for_and_not_restarted(every_service: dict[str, Config]) -> None:
    for name in ONE_SHOTS:
        assert every_service[name]["restart"] == "no", name
        waiting = [
            other["depends_on"][name]["condition"]
            for other in every_service.values()
            if name in other.get("depends_on", {})
        ]
        assert waiting, name
        assert set(waiting) == {"service_completed_successfully"}, name


def test_every_service_is_hardened_and_limited(every_service: dict[str, Config]) -> None:
    for name, service in every_service.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) >= 256 * 1024**2, name
        assert limits["pids"], name
        assert service["logging"]["options"]["max-size"], name
        # Ours have an account of their own; of others we say which.
        ours = service["image"].startswith("vitrine/")
        assert ours or re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name


@pytest.mark.parametrize("name", ["worker", "writer"])
def test_nobody_is_killed_before_its_own_deadline(every_service: dict[str, Config], name: str) -> None:
    deadline = int(every_service[name]["environment"]["VITRINE_SHUTDOWN_DEADLINE_S"])
    assert every_service[name]["stop_grace_period"] == f"{deadline + 10}s"


def test_only_catalogue_and_object_store_are_published_and_only_on_this_machine(
    every_service: dict[str, Config],
) -> None:
    published = {
        name: [(port["host_ip"], port["published"]) for port in service["ports"]]
        for name, service in every_service.items()
        if service.get("ports")
    }
    assert published == {"catalogue": [("127.0.0.1", "8000")], "object-store": [("127.0.0.1", "8333")]}


def test_pages_of_the_others_are_opened_to_this_machine_alone(configured: Configured) -> None:
    files = (FILES[0], DOCKER / "compose.ports.yaml")
    opened = {
        name: service["ports"]
        for name, service in configured(*_PROFILES, files=files)["services"].items()
        if service.get("ports")
    }
    assert set(opened) - {"catalogue", "object-store"} == {
        *("rabbitmq", "mlflow", "prometheus", "alertmanager", "grafana"),
    }
    assert {port["host_ip"] for ports in opened.values() for port in ports} == {"127.0.0.1"}


def test_database_broker_and_what_uses_them_are_in_a_network_without_a_way_out(
    whole: Config, every_service: dict[str, Config]
) -> None:
    assert whole["networks"]["back"]["internal"]
    outside = {
        name for name, service in every_service.items() if set(service.get("networks", ())) != {"back"}
    }
    # The bucket is made inside the object store's own network.
    assert outside == {"catalogue", "object-store", "bucket", "alertmanager"}


def test_a_backup_runs_only_when_it_is_asked_for_and_waits_for_no_migrations(whole: Config) -> None:
    for name in BY_HAND:
        service = whole["services"][name]
        assert service["restart"] == "no"
        # They would fill a database that is to be restored into.
        assert set(service["depends_on"]) == {"postgres", "bucket"}
        volumes = {volume["target"]: volume["source"] for volume in service["volumes"]}
        assert volumes["/backups"] == "backups"
        # Memory does for no dump.
        assert service["environment"]["TMPDIR"] in volumes
        assert not [other for other in whole["services"].values() if name in other.get("depends_on", {})]


# ---------------------------------------------------------------------- variables


def test_no_secret_is_in_the_environment(every_service: dict[str, Config]) -> None:
    files = 0
    for name, service in every_service.items():
        for variable, value in service.get("environment", {}).items():
            assert not re.search(r"://[^/]*:[^/]*@", value), f"{name}: {variable}"
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable) or value.startswith("/run/secrets/"):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                mounted = {secret["target"] for secret in service["secrets"]}
                assert value in mounted, f"{name}: {variable}"
                files += 1
    assert files >= 20


def test_every_variable_of_ours_is_one_that_somebody_reads(every_service: dict[str, Config]) -> None:
    given = {
        variable
        for service in every_service.values()
        if service["image"].startswith("vitrine/")
        for variable in service.get("environment", {})
        if variable.startswith("VITRINE_")
    }
    assert len(given) >= 15
    assert given - KNOWN == set()


def test_addresses_follow_the_ports(configured: Configured) -> None:
    catalogue = configured("core", VITRINE_S3_PORT="9000", VITRINE_PORT="80", VITRINE_BIND="0.0.0.0")
    environment = catalogue["services"]["catalogue"]["environment"]
    assert environment["VITRINE_S3_PUBLIC_ENDPOINT"] == "http://localhost:9000"
    assert catalogue["services"]["catalogue"]["ports"][0]["published"] == "80"
    assert catalogue["services"]["object-store"]["ports"][0]["host_ip"] == "0.0.0.0"
