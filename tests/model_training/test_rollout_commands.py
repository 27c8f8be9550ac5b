"""What people ask of the catalogue by command, and what they are told when it says no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_training.cli.main import main
from tests.plugins.rollout_catalogue import RolloutCatalogue, rollout_catalogue


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RolloutCatalogue]:
    """Version 2, which is number 8 in the registry, is champion, and version 1 was before."""
    with rollout_catalogue(tmp_path) as catalogue:
        for id_, number in ((100, 1), (101, 2)):
            facts = {"name": "toy", "registry_version": number + 6, "withdrawn": False, "metrics": {}}
            catalogue.models[id_] = {"id": id_, "version": number, **facts}
        catalogue.serving = {"champion": 101, "challenger": None, "predecessor": 100}
        monkeypatch.setenv("VITRINE_CATALOGUE_URL", catalogue.address)
        monkeypatch.setenv("VITRINE_CATALOGUE_TOKEN_FILE", str(catalogue.token_file))
        yield catalogue


def rate(right: int, of: int) -> dict[str, Any]:
    return {"right": right, "of": of, "value": right / of if of else None, "low": 0.1, "high": 0.9}


def comparison(*reasons: str) -> dict[str, Any]:
    measure = {
        "champion": rate(80, 100),
        "challenger": rate(90, 100),
        "difference": {"estimate": 0.1, "low": 0.02, "high": 0.18},
    }
    nothing = {"champion": rate(0, 0), "challenger": rate(0, 0), "difference": None}
    return {
        "champion": {"id": 100, "name": "toy", "version": 1},
        "challenger": {"id": 101, "name": "toy", "version": 2},
        "pictures": 321,
        "cut": True,
        "reviews": 123,
        "precision": measure,
        "recall": nothing,
        "unknown": {"champion": 5, "challenger": 6},
        "predict_ms": {"champion": 20.0, "challenger": 25.0, "ratio": 1.25},
        "tags": [
            {"slug": "cat", "reviews": 7, "precision": measure, "recall": nothing, "gained": 3, "lost": 4}
        ],
        "verdict": {"passes": not reasons, "reasons": list(reasons), "notes": []},
    }


def test_a_comparison_that_passes_the_gate_ends_well(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    catalogue.comparison = comparison()
    assert main(["compare"]) == 0
    told = capsys.readouterr().out
    for said in (
        "321 pictures, the newest of them",
        "123 decisions",
        "+0.100 (+0.020 to +0.180)",
        "x 1.25",
        "cat",
    ):
        assert said in told
    assert main(["compare", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalogue.comparison


def test_a_comparison_that_the_gate_refuses_ends_with_1_and_the_reasons(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.comparison = comparison("Precision may have fallen by 0.07.")
    assert main(["compare", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"]["passes"] is False
    assert "Precision may have fallen by 0.07." in told.err
    catalogue.comparison = None
    assert main(["compare"]) == 1
    assert "There is no challenger." in capsys.readouterr().err


@pytest.mark.parametrize(("words", "number"), [(["1"], 1), (["7", "--registry"], 1), (["2"], 2)])
def test_a_promotion_is_asked_for_by_either_number(
    catalogue: RolloutCatalogue, words: list[str], number: int
) -> None:
    assert main(["promote", *words]) == 0
    (step,) = catalogue.steps
    assert (step["version"]["version"], step["source"], step["forced"]) == (number, "person", False)


def test_a_promotion_that_the_gate_refuses_is_forced_with_a_reason(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.gate = ["Only 3 pictures.", "Nobody reviewed them."]
    assert main(["promote", "1"]) == 1
    assert "Only 3 pictures.; Nobody reviewed them." in capsys.readouterr().err
    assert catalogue.steps == []
    assert main(["promote", "1", "--force", "--reason", "a test"]) == 0
    assert (catalogue.steps[0]["forced"], catalogue.steps[0]["reason"]) == (True, "a test")


def test_an_unknown_version_cannot_be_promoted(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "7"]) == 1
    assert "knows no version 7" in capsys.readouterr().err


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1)])
def test_whoever_waits_learns_what_became_of_it(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    def answer(method: str, path: str, told: dict[str, Any]) -> tuple[int, Any]:
        if "steps" in path:
            catalogue.steps[0].update(state=state, detail="the golden request failed")
        return original(method, path, told)

    original, catalogue.answer = catalogue.answer, answer
    assert main(["promote", "1", "--wait"]) == code
    told = capsys.readouterr()
    assert (f"is {state}" if code == 0 else "the golden request failed") in told.out + told.err


def test_a_roll_back_is_asked_for_with_its_reason(catalogue: RolloutCatalogue) -> None:
    assert main(["rollback", "--reason", "wrong about cats"]) == 0
    assert catalogue.steps[0]["kind"] == "roll-back"
    with pytest.raises(SystemExit):
        main(["rollback"])


def test_the_status_says_what_is_in_service_and_what_was_done(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    catalogue.ask("promote", 1, detail="[no markup]")
    assert main(["rollout"]) == 0
    told = capsys.readouterr().out
    for said in ("champion", "toy", "predecessor", "challenger", "none", "[no markup]", "asked"):
        assert said in told
    assert main(["rollout", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["champion"]["version"] == 2


def test_a_catalogue_that_cannot_be_asked_is_told_in_a_sentence(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.down = True
    assert main(["rollout"]) == 1
    assert "503: The database does not answer." in capsys.readouterr().err
    catalogue.down = False
    catalogue.token_file.write_text("another")
    assert main(["rollout"]) == 1
    assert "401: Invalid token." in capsys.readouterr().err
    catalogue.token_file.unlink()
    assert main(["rollout"]) == 1
    assert "no token" in capsys.readouterr().err
    assert main(["rollout", "--catalogue", "http://127.0.0.1:9"]) == 1
    monkeypatch.delenv("VITRINE_CATALOGUE_URL")
    assert main(["rollout"]) == 2
    assert "VITRINE_CATALOGUE_URL" in capsys.readouterr().err


@pytest.mark.usefixtures("signals_as_before")
def test_a_controller_without_its_surroundings_ends_with_2(
    catalogue: RolloutCatalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model-servers", "127.0.0.1:8500", "--base-path", "models"]
    assert main(["controller"]) == 2
    assert "--model-servers" in capsys.readouterr().err
    assert main(["controller", *words]) == 2
    assert "VITRINE_MODELS_CONFIG" in capsys.readouterr().err
    assert main(["controller", *words[:2], "--base-path", "gs://bucket"]) == 2
    assert "neither a folder nor s3" in capsys.readouterr().err
