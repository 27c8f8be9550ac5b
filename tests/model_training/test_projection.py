from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model_training.photographs import NoPhotographsError, Photograph, photographs
from model_training.projection import Projection, load_projection
from model_training.projection.fit import fit, held_out, save
from model_training.tag_measures import wilson


def test_the_shipped_components_are_orthonormal() -> None:
    projection = load_projection()
    assert projection.components.shape == (1280, 320)
    assert projection.mean.shape == (1280,)
    products = projection.components.T @ projection.components
    assert np.abs(products - np.eye(320)).max() < 1e-3


def test_the_id_names_the_numbers() -> None:
    projection = load_projection()
    assert projection.id.startswith("efficientnet-lite2-pca320-")
    assert load_projection().id == projection.id
    assert Projection(projection.mean, -projection.components).id != projection.id


def test_a_fit_finds_the_directions_in_which_the_features_vary(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    spread = np.diag([5.0, 3.0, 0.01, 0.01])
    features = (random.normal(size=(400, 4)) @ spread + 10).astype(np.float32)
    projection = fit(features, dimensions=2)
    assert fit(features, dimensions=2).id == projection.id
    embedded = projection.embed(features)
    assert embedded.shape == (400, 2)
    assert np.linalg.norm(embedded, axis=1) == pytest.approx(np.ones(400), abs=1e-5)
    with np.load(save(projection, tmp_path)) as arrays:
        assert arrays["components"].dtype == np.float16
        assert (arrays["components"].astype(np.float32) == projection.components).all()


def test_a_feature_vector_of_zeros_does_not_become_nan() -> None:
    assert np.isfinite(load_projection().embed(np.zeros((1, 1280), np.float32))).all()


def test_a_series_of_near_duplicates_is_held_out_as_a_whole() -> None:
    def picture(name: str) -> Photograph:
        return Photograph(Path(f"{name}.jpg"), "corel5k", frozenset())

    for series in range(100, 140):
        assert len({held_out(picture(f"corel5k_{series}{n:03d}")) for n in range(20)}) == 1
    share = np.mean([held_out(picture(f"coco_{n:012d}")) for n in range(2000)])
    assert 0.15 < share < 0.25


def test_a_missing_folder_of_photographs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NoPhotographsError, match="VITRINE_DATA"):
        photographs()


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
