"""The DAGs in Airflow: what they are, and that they do what they say with the real commands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.airflow_runs import Airflow

NAMES = {"retrain", "promote_after_shadow", "retag_campaign", "nightly_quality"}
OURS = {"dam", "model_training", "pipeline", "workers"}


def described(airflow: Airflow, **environment: str) -> dict[str, Any]:
    script = str(Path(__file__).with_name("describe_dags.py"))
    done = airflow.call(script, program="python", **{"VITRINE_DEADLINES": "", **environment})
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def bag(airflow: Airflow) -> dict[str, Any]:
    return described(airflow)


def test_the_folder_holds_four_dags_and_nothing_that_cannot_be_read(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == NAMES


def test_no_dag_imports_anything_of_ours(bag: dict[str, Any]) -> None:
    assert not OURS & set(bag["modules"])
    assert {"vitrine_commands", "vitrine_alerts"} <= set(bag["modules"])


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_dag_says_what_it_does_and_for_whom_it_waits(bag: dict[str, Any], name: str) -> None:
    dag = bag["dags"][name]
    assert dag["serialized"]
    assert "fails" in dag["doc"], "what a failed task means"
    assert "vitrine" in dag["tags"]
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert dag["deadline_s"] >= max(task["timeout_s"] for task in dag["tasks"].values()) or dag["schedule"]
    (late,) = dag["missed"]
    assert name in late
    assert late.endswith(": a-run")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_parameter_has_a_type_and_a_description(bag: dict[str, Any], name: str) -> None:
    params = bag["dags"][name]["params"]
    assert params
    for schema in params.values():
        assert schema["type"]
        assert schema["description"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_what_fails_is_tried_again_after_longer_and_longer_pauses(bag: dict[str, Any], name: str) -> None:
    for task, what in bag["dags"][name]["tasks"].items():
        if task == "within_limits":
            continue  # the same numbers give the same answer
        assert what["retries"] >= 2
        assert what["backoff"] > 1
        assert what["delay_s"] < what["most_delay_s"] <= 3600
        assert what["timeout_s"]


def test_retraining_goes_from_decisions_to_a_challenger(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["retrain"]["tasks"]
    order = ["export_claims", "prepare", "train", "evaluate", "gate", "export", "register", "challenge"]
    assert {name: what["downstream"] for name, what in tasks.items()} == {
        one: [following] if following else [] for one, following in zip(order, [*order[1:], ""], strict=True)
    }


def test_the_environment_sets_schedule_configuration_and_mail(airflow: Airflow) -> None:
    environment = {
        "VITRINE_RETRAIN_SCHEDULE": "0 4 * * 0",
        "VITRINE_RETRAIN_CONFIG": "/etc/vitrine/retrain.yaml",
        "VITRINE_ALERT_MAIL": "team@example.org",
    }
    found = described(airflow, **environment)
    assert found["errors"] == {}
    assert found["dags"]["retrain"]["schedule"] == "0 4 * * 0"
    for dag in found["dags"].values():
        assert dag["on_failure"]
        assert dag["deadline_s"]
        assert dag["missed"] is None, "it goes by mail"


# ---------------------------------------------------------------- runs, with stand-ins for our commands

QUERY = 'it\'s $(touch pwned); "quoted" `id` -dog {{ 7 * 7 }}'
CHAMPION = {"id": 1, "name": "tagger", "version": 1, "registry_version": 4, "withdrawn": False}
CHALLENGER = {"id": 2, "name": "tagger", "version": 7, "registry_version": 5, "withdrawn": False}
LEDGER = {"assets": 3, "failed": 2, "oldest_open_s": None, "agrees": True}


@dataclass
class Scenario:
    """A run of a DAG whose commands say what they are told to, and write down their arguments."""

    dag: str
    params: dict[str, Any]
    said: dict[str, Any] = field(default_factory=dict)
    """By command; what is not named says nothing."""
    codes: dict[str, int] = field(default_factory=dict)
    """By command; 0 where not named."""
    result: dict[str, Any] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> dict[str, str]:
        """The programs; returns the environment that names them."""
        folder.mkdir()
        for name, content in self.said.items():
            # As the real commands print it: a ledger on one line, the others indented.
            indent = None if name == "ledger" else 1
            (folder / f"{name}.json").write_text(json.dumps(content, indent=indent) + "\n")
        program = (
            "#!/usr/bin/env python3",
            "import json, pathlib, sys",
            f"folder, codes = pathlib.Path({str(folder)!r}), {self.codes!r}",
            "words = [word for word in sys.argv[1:] if word not in ('-m', 'model_training')]",
            "with (folder / 'calls').open('a') as calls: calls.write(json.dumps(words) + '\\n')",
            "said = folder / f'{words[0]}.json'",
            "print(said.read_text() if said.exists() else '', end='')",
            "sys.exit(codes.get(words[0], 0))",
        )
        path = folder / "program"
        path.write_text("\n".join(program))
        path.chmod(0o755)
        runs = str(folder / "runs")
        return {"VITRINE_BIN": str(path), "VITRINE_PYTHON": str(path), "VITRINE_RUNS": runs}

    def read(self, folder: Path, result: dict[str, Any]) -> None:
        """What came of it."""
        self.result = result
        calls = folder / "calls"
        self.calls = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        self.files = {path.name: path.read_text() for path in folder.glob("runs/*/*")}

    def states(self) -> dict[str, str]:
        """Of each task."""
        return {name: state for name, (state, _) in self.result["tasks"].items()}


def enough(**changes: Any) -> Scenario:
    """A challenger that was compared on enough, with changes to what is in service."""
    in_service = {"champion": CHAMPION, "challenger": CHALLENGER} | changes
    compared = {"challenger": {"id": 2, "version": 7}, "pictures": 300, "reviews": 100}
    params = {"version": 5, "pictures": 300, "reviews": 100}
    return Scenario("promote_after_shadow", params, {"rollout": in_service, "compare": compared})


@pytest.fixture(scope="module")
def scenarios(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    """All of them, run by one process: Airflow takes longer to start than to run one."""
    judged = enough()
    judged.codes["compare"] = 1  # the gate's own verdict is not what is waited for
    newer = CHALLENGER | {"registry_version": 6}
    quality = {"ledger": LEDGER, "rollout": {"champion": CHAMPION, "challenger": None}}
    shadowed = {"challenger": CHALLENGER, "steps": [{"challenger": None}]}
    wanted = {
        "refused": Scenario("retag_campaign", {"query": QUERY, "open": 7}, codes={"retag": 2}),
        "wrong": Scenario("retag_campaign", {"label": "; rm -rf /"}),
        "promoted": judged,
        "promoted before": enough(champion=CHAMPION | {"registry_version": 5}, challenger=None),
        "overtaken": enough(challenger=newer),
        "quiet night": Scenario("nightly_quality", {"most_failed": 2}, quality),
        "bad night": Scenario(
            "nightly_quality",
            {"most_failed": 1},
            {"ledger": LEDGER, "rollout": shadowed, "compare": {"pictures": 1}},
            {"compare": 1},
        ),
    }
    folder = tmp_path_factory.mktemp("scenarios")
    given = [
        {"dag": each.dag, "params": each.params, "environment": each.write(folder / name)}
        for name, each in wanted.items()
    ]
    script = str(Path(__file__).with_name("run_dags.py"))
    done = airflow.call(script, json.dumps(given), program="python")
    assert done.returncode == 0, done.stdout
    results = json.loads(done.stdout.strip().splitlines()[-1])
    for (name, each), result in zip(wanted.items(), results, strict=True):
        each.read(folder / name, result)
    return wanted


def test_parameters_reach_a_command_whatever_is_in_them(scenarios: dict[str, Scenario]) -> None:
    (words,) = scenarios["refused"].calls
    assert words == ["retag", f"--query={QUERY}", "--label=champion", "--open=7", "--wait", "--json"]


def test_input_that_has_to_be_changed_is_not_tried_again(scenarios: dict[str, Scenario]) -> None:
    run = scenarios["refused"]
    assert run.result["code"] == 1
    assert run.result["tasks"] == {"retag": ["failed", 1]}


def test_a_parameter_of_another_kind_is_refused_before_anything_runs(scenarios: dict[str, Scenario]) -> None:
    run = scenarios["wrong"]
    assert "Invalid input for param label" in run.result["said"]
    assert run.calls == []


def test_a_challenger_is_promoted_by_its_number_when_it_was_compared_on_enough(
    scenarios: dict[str, Scenario],
) -> None:
    run = scenarios["promoted"]
    assert run.states() == {"compared_enough": "success", "promote": "success"}
    assert [call[0] for call in run.calls] == ["rollout", "compare", "promote"]
    assert run.calls[-1] == ["promote", "7", "--wait"]


def test_a_version_that_is_champion_already_is_left_alone(scenarios: dict[str, Scenario]) -> None:
    run = scenarios["promoted before"]
    assert run.result["code"] == 0
    assert set(run.states().values()) == {"skipped"}


def test_another_challenger_than_the_one_that_was_meant_is_not_promoted(
    scenarios: dict[str, Scenario],
) -> None:
    run = scenarios["overtaken"]
    assert run.states() == {"compared_enough": "failed", "promote": "upstream_failed"}
    assert [call[0] for call in run.calls] == ["rollout"]


def test_a_quiet_night_leaves_its_ledger_and_compares_nothing(scenarios: dict[str, Scenario]) -> None:
    run = scenarios["quiet night"]
    assert run.result["code"] == 0
    assert run.states() == {
        "ledger": "success",
        "within_limits": "success",
        "in_service": "success",
        "comparison": "skipped",
    }
    assert json.loads(run.files["ledger.json"]) == LEDGER


def test_a_night_fails_where_more_failed_than_is_allowed_and_keeps_the_comparison(
    scenarios: dict[str, Scenario],
) -> None:
    run = scenarios["bad night"]
    assert run.result["code"] == 1
    assert run.states()["within_limits"] == "failed"
    assert run.states()["comparison"] == "success", "a challenger that the gate refuses is no defect"
    assert json.loads(run.files["comparison.json"]) == {"pictures": 1}
