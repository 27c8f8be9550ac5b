"""What a search may change: dotted names of the configuration, each with values or a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model_training.config import Config, ConfigError

SECTIONS = ("input", "network", "loss", "training")
"""Everything else is the same for all trials, or they could not be compared."""

Value = str | int | float | bool


class Choice(BaseModel):
    """One of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    values: tuple[Value, ...] = Field(min_length=1)

    def extremes(self) -> tuple[Value, ...]:
        """All of them: each has to be understood."""
        return self.values

    def suggest(self, trial: Any, name: str) -> Value:
        """What a trial of Optuna takes."""
        value: Value = trial.suggest_categorical(name, self.values)
        return value


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, both included; ``log``: spread evenly over the magnitudes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0)
    whole: bool = False

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Range:
        if self.low > self.high:
            raise ValueError("low is above high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and no step")
        return self

    def extremes(self) -> tuple[Value, ...]:
        """Both ends, between which all is understood if they are."""
        return tuple(int(end) if self.whole else end for end in (self.low, self.high))

    def suggest(self, trial: Any, name: str) -> Value:
        """What a trial of Optuna takes."""
        value: Value
        if self.whole:
            value = trial.suggest_int(
                name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1)
            )
        else:
            value = trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)
        return value


Space = Mapping[str, Choice | Range]


def read_space(config: Config) -> Space:
    """The parameters of ``config.search``, each checked against the configuration.

    Raises:
        ConfigError: there are none, one is no name of the configuration, or a value is not understood there.
    """
    if not config.search.parameters:
        raise ConfigError("search.parameters names nothing to try")
    space: dict[str, Choice | Range] = {}
    problems: list[str] = []
    for name, wanted in config.search.parameters.items():
        try:
            space[name] = _read(name, wanted)
            for value in space[name].extremes():
                changed(config, {name: value})
        except ValidationError as error:
            problems += [f"  {name}: {each['msg']}" for each in error.errors()]
        except ConfigError as error:
            problems.append(f"  {name}: {error}")
    if problems:
        raise ConfigError("\n".join(["search.parameters cannot be searched:", *problems]))
    return space


def changed(config: Config, values: Mapping[str, Value]) -> Config:
    """The configuration with other values under dotted names.

    Raises:
        ConfigError: a value is not understood there.
    """
    content = config.model_dump(mode="json")
    for name, value in values.items():
        *path, last = name.split(".")
        section = content
        for step in path:
            section = section[step]
            if section is None:
                raise ConfigError(f"{name} cannot be changed: the configuration has no {step}")
        section[last] = value
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        places = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ConfigError("; ".join(places)) from error


def _read(name: str, wanted: Any) -> Choice | Range:
    kind = _kind(name)
    if isinstance(wanted, list):
        return Choice(values=tuple(wanted))
    if isinstance(wanted, Mapping):
        if kind not in {int, float}:
            raise ConfigError("a range needs a number; give a list of values")
        return Range(**wanted, whole=kind is int)
    raise ConfigError("give a list of values, or a range {low: …, high: …}")


def _given(kind: Any) -> Any:
    """The section of ``Section | None``; any other type as it is."""
    sections = [one for one in get_args(kind) if isinstance(one, type) and issubclass(one, BaseModel)]
    return sections[0] if len(sections) == 1 else kind


def _kind(name: str) -> Any:
    """The type that the configuration has under a dotted name."""
    kind: Any = Config
    for number, part in enumerate(name.split(".")):
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
        if part not in fields or (number == 0 and part not in SECTIONS):
            raise ConfigError(f"no such name; a search may change {', '.join(SECTIONS)}")
        kind = _given(fields[part].annotation)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        raise ConfigError("this is a whole section; name one value in it")
    return kind
