"""A sweep's YAML, checked: W&B's sweep vocabulary, plus `trial` for what is fixed. README lists the keys."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from sweeps.space import SEARCHABLE, Assignment, Choice, Method, Range, Space, kind
from tinystories.config import AXES, TrialConfig, parse_number

WandbMode = Literal["auto", "online", "offline", "disabled"]
METRICS = ("val_loss", "val_bpb")
SHAPE = ("depth", "width", "heads")
MOST_PER_GPU = 100
"""Trials on one GPU: Ray counts shares of it in ten-thousandths."""


@dataclass(frozen=True, kw_only=True)
class Halving:
    """ASHA's rungs: evaluations min_iter, min_iter * eta, ...; at each, the best 1/eta go on.

    Source: Li et al. 2020, arXiv:1810.05934, stopping variant; `min_iter` is the paper's r.
    """

    eta: int = 3
    """Reduction factor."""
    min_iter: int = 1
    """The first rung. [evaluation]"""

    def __post_init__(self) -> None:
        if self.eta < 2:
            raise ValueError(f"early_terminate.eta {self.eta} must be at least 2")
        if self.min_iter < 1:
            raise ValueError(f"early_terminate.min_iter {self.min_iter} must be at least 1")

    def rungs(self, evaluations: int) -> tuple[int, ...]:
        """The evaluations at which trials are compared, the last one of a full run left out."""
        rungs = []
        rung = self.min_iter
        while rung < evaluations:
            rungs.append(rung)
            rung *= self.eta
        return tuple(rungs)


@dataclass(frozen=True, kw_only=True)
class StoriesData:
    """Built-in stories, generated where they are needed; the same everywhere for the same settings."""

    stories: int = 24_000
    """Training stories."""
    valid_stories: int = 500
    """Validation stories."""
    tokenizer: str = "bpe:1024"
    """Tokenizer to train on them."""
    seed: int = 0
    """Seeds the stories."""

    @property
    def folder(self) -> str:
        """Where the stories of these settings live, below `data/`."""
        name = self.tokenizer.replace(":", "")
        return f"data/stories-{self.stories}-{self.valid_stories}-{name}-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One sweep, as its YAML says."""

    name: str
    """Names the run folder and groups the W&B runs."""
    metric: str
    """What is minimised; val_loss and val_bpb rank alike, as all trials share their data."""
    space: Space
    """What is searched."""
    run_cap: int
    """Number of trials."""
    early_terminate: Halving | None
    """When poor trials stop; none: every trial runs to its end."""
    trial: Mapping[str, Any]
    """What all trials share: fields of `TrialConfig`."""
    data: str | StoriesData | None
    """A data folder or URI, or the settings of the built-in stories; None: `data/processed`, else stories."""
    trials_per_gpu: int | None
    """Trials that share one GPU, where the cluster has any; 0: trials stay on CPUs; None (auto): as many as its memory
    holds, but one where trials are compared by seconds, since neighbours take them from each other."""
    replay: Mapping[str, str]
    """What a recorded table calls our columns, for `--replay`."""
    method: Method = "bayes"
    """How configurations are proposed."""
    seed: int = 0
    """Seeds the search, and the trials unless the seed is searched."""
    cpus_per_trial: int = 1
    """CPU cores, and threads, of one trial."""
    keep_checkpoints: int = 3
    """Finished trials whose checkpoint is kept: the best ones of the sweep."""
    max_failures: int = 3
    """How often a trial may lose its worker between two evaluations; it goes on from its checkpoint each time."""
    patience: float = 1800
    """Time without an evaluation after which a trial's worker is taken for hung. [s]"""
    wandb: WandbMode = "auto"
    """Where W&B runs go; auto: online with a key, offline without."""
    project: str = "tinystories"
    """W&B project."""

    def trial_config(self, assignment: Assignment) -> TrialConfig:
        """The whole configuration of one trial."""
        return TrialConfig(**{"seed": self.seed, **self.trial, **assignment})

    def cost_at(self, evaluation: int) -> float:
        """Budget that a trial has spent at one of its evaluations. [token, FLOP or second]"""
        return self.trial["budget"] * evaluation / self.evaluations

    def largest_trial(self) -> TrialConfig:
        """The trial with the most parameters."""
        ends: Assignment = {
            name: max(parameter.values) if isinstance(parameter, Choice) else parameter.high
            for name, parameter in self.space.parameters.items()
        }
        width = int({**self.space.fixed, **ends}["width"])
        return self.trial_config({**ends, "heads": self.space.heads_for(width)[0]})

    @property
    def trials(self) -> int:
        """Trials that the sweep has: `run_cap`, or all configurations of a smaller space."""
        return int(min(self.run_cap, self.space.size))

    @property
    def evaluations(self) -> int:
        """Evaluations of a full trial."""
        return self.trial.get("evaluations", TrialConfig.__dataclass_fields__["evaluations"].default)

    @property
    def rungs(self) -> tuple[int, ...]:
        """ASHA's rungs. [evaluation]"""
        return self.early_terminate.rungs(self.evaluations) if self.early_terminate else ()


def load(
    path: Path, overrides: Sequence[str] = (), *, name: str | None = None, trials: str | None = None
) -> tuple[Spec, dict[str, Any]]:
    """Read and check a sweep's YAML.

    Args:
        path: the YAML file.
        overrides: `key=value` pairs that replace entries, `trial.tokens=1M` for nested ones.
        name: replaces the sweep's name.
        trials: replaces `run_cap`.

    Returns:
        The checked spec, and the plain mapping that it was made from, for the run folder.

    Raises:
        ValueError: the file or an override does not hold; one line with the value and what is allowed.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such sweep file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: a sweep is a mapping with the keys {', '.join(KEYS)}")
    for override in overrides:
        _override(raw, override)
    raw |= {key: value for key, value in (("name", name), ("run_cap", trials)) if value is not None}
    return parse(raw), raw


def _override(raw: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ValueError(f"--set {override!r}: write key=value, such as trial.tokens=1M")
    target: dict[str, Any] = raw
    *parents, last = key.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ValueError(f"--set {override!r}: {parent} is not a mapping")
    try:
        target[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"--set {override!r}: {value!r} is not YAML") from None


OPTIONAL = tuple(entry for entry in fields(Spec) if entry.default is not MISSING)
KEYS = (
    *("name", "metric", "parameters", "run_cap", "early_terminate", "trial", "data", "trials_per_gpu", "replay"),
    *(entry.name for entry in OPTIONAL),
)


def parse(raw: Mapping[str, Any]) -> Spec:
    """Check a sweep's mapping.

    Raises:
        ValueError: an unknown key, a wrong type or a value out of range.
    """
    _known(raw, KEYS, "the sweep")
    for required in ("name", "parameters", "run_cap", "trial"):
        if required not in raw:
            raise ValueError(f"the sweep has no {required!r}; it must have name, parameters, run_cap, trial")
    trial = _trial(_mapping(raw["trial"], "trial"))
    space = _space(_mapping(raw["parameters"], "parameters"), trial)
    settings = {entry.name: _typed(raw[entry.name], entry.type, entry.name) for entry in OPTIONAL if entry.name in raw}
    spec = Spec(
        name=_name(raw["name"]),
        metric=_metric(_mapping(raw.get("metric", {"name": "val_loss"}), "metric")),
        space=space,
        run_cap=_positive(raw["run_cap"], "run_cap"),
        early_terminate=_halving(raw.get("early_terminate")),
        trial=trial,
        data=_data(raw.get("data")),
        trials_per_gpu=_trials_per_gpu(raw.get("trials_per_gpu", "auto")),
        replay=_replay(raw.get("replay", {})),
        **settings,
    )
    _check_settings(spec)
    return spec


def _check_settings(spec: Spec) -> None:
    for name in ("cpus_per_trial", "keep_checkpoints", "patience"):
        if not getattr(spec, name) > 0:
            raise ValueError(f"{name} {getattr(spec, name)} must be above 0")
    for name in ("max_failures", "seed"):
        if getattr(spec, name) < 0:
            raise ValueError(f"{name} {getattr(spec, name)} must be at least 0")
    if spec.early_terminate and not spec.rungs:
        raise ValueError(
            f"early_terminate.min_iter {spec.early_terminate.min_iter} must be below "
            f"trial.evaluations {spec.evaluations}, or no trial is ever stopped"
        )
    spec.largest_trial()  # makes a configuration, and so checks what all trials share


def _name(raw: Any) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", raw):
        raise ValueError(f"name {raw!r}: letters, digits, '.', '_' and '-' only, as it names a folder")
    return raw


def _metric(raw: Mapping[str, Any]) -> str:
    _known(raw, ("name", "goal"), "metric")
    if raw.get("name", "val_loss") not in METRICS:
        raise ValueError(f"metric.name {raw['name']!r} is not one of {', '.join(METRICS)}")
    if raw.get("goal", "minimize") != "minimize":
        raise ValueError(f"metric.goal {raw['goal']!r}: losses are minimised; write minimize")
    return raw.get("name", "val_loss")


def _halving(raw: Any) -> Halving | None:
    if raw is None:
        return None
    entries = _mapping(raw, "early_terminate")
    _known(entries, ("type", "eta", "min_iter"), "early_terminate")
    if entries.get("type", "asha") != "asha":
        raise ValueError(f"early_terminate.type {entries['type']!r} is not known; allowed: asha")
    numbers = {key: _typed(value, int, f"early_terminate.{key}") for key, value in entries.items() if key != "type"}
    return Halving(**numbers)


def _data(raw: Any) -> str | StoriesData | None:
    if raw is None or (isinstance(raw, str) and raw):
        return raw
    if not isinstance(raw, Mapping):
        raise ValueError(f"data {raw!r}: a folder, a URI, or the mapping of the built-in stories")
    types = get_type_hints(StoriesData)
    _known(raw, tuple(types), "data")
    data = StoriesData(**{key: _typed(value, types[key], f"data.{key}") for key, value in raw.items()})
    _positive(data.stories, "data.stories")
    _positive(data.valid_stories, "data.valid_stories")
    return data


def _trials_per_gpu(raw: Any) -> int | None:
    if raw == "auto":
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_PER_GPU:
        raise ValueError(f"trials_per_gpu {raw!r}: auto, a whole number up to {MOST_PER_GPU}, or 0 for CPUs alone")
    return raw


def _replay(raw: Any) -> dict[str, str]:
    entries = _mapping(raw, "replay")
    _known(entries, ("columns",), "replay")
    columns = _mapping(entries.get("columns", {}), "replay.columns")
    _known(columns, ("config", *SEARCHABLE, *AXES, *METRICS), "replay.columns")
    return {name: _typed(column, str, f"replay.columns.{name}") for name, column in columns.items()}


def _trial(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of TrialConfig; the budget is the one key among tokens, flops, seconds, and names the axis."""
    types = get_type_hints(TrialConfig)
    del types["axis"], types["budget"]
    _known(raw, AXES + tuple(types), "trial")
    budgets = [axis for axis in AXES if axis in raw]
    if len(budgets) != 1:
        raise ValueError(
            f"trial needs exactly one budget among {', '.join(AXES)}; given: {', '.join(budgets) or 'none'}"
        )
    trial = {key: _typed(value, types[key], f"trial.{key}") for key, value in raw.items() if key not in AXES}
    if trial.get("seed", 0) < 0:
        raise ValueError(f"trial.seed {trial['seed']} must be at least 0")
    axis = budgets[0]
    return {**trial, "axis": axis, "budget": _typed(raw[axis], float, f"trial.{axis}")}


def _space(raw: Mapping[str, Any], trial: Mapping[str, Any]) -> Space:
    _known(raw, SEARCHABLE, "parameters")
    if not raw:
        raise ValueError(f"parameters is empty; search at least one of {', '.join(SEARCHABLE)}")
    if both := [name for name in raw if name in trial]:
        raise ValueError(f"{both[0]} stands under both parameters and trial; keep one")
    if missing := [name for name in SHAPE if name not in raw and name not in trial]:
        raise ValueError(f"{missing[0]} stands under neither parameters nor trial")
    parameters = {name: _parameter(name, raw[name]) for name in SEARCHABLE if name in raw}
    return Space(parameters=parameters, fixed={name: trial[name] for name in SHAPE if name in trial})


def _parameter(name: str, raw: Any) -> Choice | Range:
    where = f"parameters.{name}"
    entries = _mapping(raw, where)
    _known(entries, ("values", "value", "min", "max", "distribution"), where)
    if len(given := [key for key in ("value", "values", "min") if key in entries]) != 1:
        raise ValueError(f"{where}: give either value, or values, or min and max; given: {', '.join(given) or 'none'}")
    if "distribution" in entries and "min" not in entries:
        raise ValueError(f"{where}: distribution goes with min and max")
    if "value" in entries:
        return Choice(values=(_positive_of(entries["value"], kind(name), where),))
    if "values" in entries:
        return Choice(values=_values(entries["values"], kind(name), where))
    if name in ("width", "heads"):
        raise ValueError(f"{where}: give a list of values, so that every width has heads that divide it")
    return _range(entries, kind(name), where)


def _values(raw: Any, kind: type, where: str) -> tuple[int | float, ...]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{where}.values {raw!r}: a list with at least one value")
    values = tuple(_positive_of(value, kind, where) for value in raw)
    if len(set(values)) < len(values):
        raise ValueError(f"{where}.values {raw!r} names a value twice")
    return values


def _range(entries: Mapping[str, Any], kind: type, where: str) -> Range:
    if "min" not in entries or "max" not in entries:
        raise ValueError(f"{where}: give values, or min and max")
    low, high = (_positive_of(entries[end], kind, f"{where}.{end}") for end in ("min", "max"))
    if low >= high:
        raise ValueError(f"{where}: min {low} must be below max {high}")
    default = "int_uniform" if kind is int else "uniform"
    distribution = entries.get("distribution", default)
    if distribution not in (default, "log_uniform_values"):
        raise ValueError(f"{where}.distribution {distribution!r}: allowed here: {default}, log_uniform_values")
    log = distribution == "log_uniform_values"
    if log and low == 0:
        raise ValueError(f"{where}.min 0 must be above 0 on a logarithmic scale")
    return Range(low=low, high=high, log=log)


def _known(raw: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in allowed:
            raise ValueError(f"unknown key {key!r} in {where}; known: {', '.join(allowed)}")


def _mapping(raw: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where} {raw!r} must be a mapping")
    return raw


def _positive(raw: Any, where: str) -> int:
    return int(_positive_of(raw, int, where))


def _positive_of(raw: Any, kind: type, where: str) -> int | float:
    value = _typed(raw, kind, where)
    if value < 0 or (value == 0 and not where.startswith("parameters.seed")):
        raise ValueError(f"{where} {raw!r} must be above 0")
    return value


def _typed(raw: Any, kind: Any, where: str) -> Any:
    """The value as its declared type; numbers may be written 2M or 3e13."""
    if get_origin(kind) is Literal:
        if raw not in get_args(kind):
            raise ValueError(f"{where} {raw!r} is not one of {', '.join(map(str, get_args(kind)))}")
        return raw
    if kind in (bool, str):
        if not isinstance(raw, kind):
            raise ValueError(f"{where} {raw!r} must be {'true or false' if kind is bool else 'text'}")
        return raw
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError(f"{where} {raw!r} must be a number")
    try:
        number = parse_number(raw)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if kind is int and number != int(number):
        raise ValueError(f"{where} {raw!r} must be a whole number")
    return kind(number)
