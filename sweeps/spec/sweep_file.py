"""The form of a sweep's YAML: one model that checks a file, documents it and is its JSON Schema.

The docstrings under the fields are what `docs/sweep-file.md` and editors show.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, create_model
from pydantic.dataclasses import dataclass

from sweeps.spec.fields import CHECKED, Number, Plain, Whole
from sweeps.spec.recipe import EVALUATION, SEARCHABLE, SHAPE, descriptions, kind, typed
from sweeps.spec.space import Limits
from sweeps.spec.stopping import Stopping, own_keys
from tinystories.config import AXES, TrialConfig

WandbMode = Literal["auto", "online", "offline", "disabled"]
Objective = Literal["parameters", "flops"]
METRICS = ("val_loss", "val_bpb")
SAMPLERS = ("tpe", "gp", "cmaes", "qmc", "nsga2", "nsga3")
"""Samplers of Optuna that have a name here."""
METHODS = ("bayes", "random", "grid", *SAMPLERS)
"""How configurations are proposed: by a model of learning curves, evenly, all in order, or by a sampler of Optuna."""
SAMPLER_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""A sampler's class, written module:Class."""
MOST_PER_GPU = 100
"""Trials on one GPU: Ray counts shares of it in ten-thousandths."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DISTRIBUTIONS = (
    *("constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform", "q_uniform"),
    *("log_uniform", "log_uniform_values", "q_log_uniform", "q_log_uniform_values"),
    *("inv_log_uniform", "inv_log_uniform_values", "normal", "q_normal", "log_normal", "q_log_normal"),
    *("beta", "q_beta"),
)
"""The distributions of W&B's sweep schema."""
FILE = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Confirm:
    """The best configurations of a search are trained again, to the full budget, with new seeds."""

    top: Annotated[Whole, Field(ge=1)] = 3
    """Configurations that are trained again."""
    seeds: Annotated[Whole, BeforeValidator(lambda seeds: _seeds(seeds))] = 3
    """New seeds of each; at least 2, or there is no interval."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class StoriesData:
    """Built-in stories, generated where they are needed; the same everywhere for the same settings."""

    stories: Annotated[Whole, Field(gt=0)] = 24_000
    """Training stories."""
    valid_stories: Annotated[Whole, Field(gt=0)] = 500
    """Validation stories."""
    tokenizer: str = "bpe:1024"
    """Tokenizer to train on them."""
    seed: Whole = 0
    """Seeds the stories."""

    @property
    def folder(self) -> str:
        """Where the stories of these settings live, below `data/`."""
        name = self.tokenizer.replace(":", "")
        return f"data/stories-{self.stories}-{self.valid_stories}-{name}-{self.seed}"


def _seeds(raw: Any) -> Any:
    if isinstance(raw, int) and not isinstance(raw, bool) and raw < 2:
        raise ValueError(f"{raw} must be at least 2, or there is no interval")
    return raw


def _name(raw: Any) -> Any:
    if raw is not None and not isinstance(raw, str):
        raise ValueError(f'{raw}: quote it, as it would be read as no text: name: "{raw}"')
    if raw is not None and not NAME.fullmatch(raw):
        raise ValueError(f"{raw!r}: letters, digits, '.', '_' and '-' only, as it names a folder")
    return raw


def _method(raw: Any) -> Any:
    if raw is None or raw in METHODS or (isinstance(raw, str) and SAMPLER_CLASS.fullmatch(raw)):
        return raw
    raise ValueError(f"{raw!r} is not one of {', '.join(METHODS)}, nor module:Class of a sampler of Optuna")


def _trials_per_gpu(raw: Any) -> Any:
    if raw in (None, "auto"):
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_PER_GPU:
        raise ValueError(f"{raw!r}: auto, a whole number up to {MOST_PER_GPU}, or 0 for CPUs alone")
    return raw


def _data_kind(raw: Any) -> str:
    return "<stories>" if isinstance(raw, Mapping | StoriesData) else "<place>"


def _place(raw: Any) -> Any:
    """A folder or a URI; `~` is the home folder."""
    if not isinstance(raw, str) or not raw:
        raise ValueError(f"{raw!r}: a folder, a URI, or the mapping of the built-in stories")
    return os.path.expanduser(raw)


Data = Annotated[
    Annotated[str, BeforeValidator(_place), Tag("<place>")] | Annotated[StoriesData, Tag("<stories>")],
    Discriminator(_data_kind),
]
Positive = Annotated[Whole, Field(gt=0)]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Settings:
    """What a sweep's file and the sweep itself call by the same name."""

    early_terminate: Annotated[Stopping | None, BeforeValidator(own_keys)] = None
    """When poor trials stop; by default every trial runs to its end."""
    confirm: Confirm | None = None
    """What is trained again after the search; by default nothing."""
    data: Data | None = None
    """The text: a data folder or URI, or the settings of the built-in stories; by default `data/processed` if it is
    there, else the built-in stories."""
    trials_per_gpu: Annotated[
        int | None,
        BeforeValidator(_trials_per_gpu),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 0, "maximum": MOST_PER_GPU}]}),
    ] = None
    """Trials that share one GPU, where the cluster has any; 0: trials stay on CPUs; auto, the default: as many as its
    memory holds, but one where trials are compared by seconds, since neighbours take them from each other."""
    sampler: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the sampler that `method` names, if that is one of Optuna's."""
    pareto: Objective | None = None
    """What is kept small besides the loss: parameters, or the compute of a full trial; by default the loss alone
    counts."""
    repeats: Literal["answer", "new_seed"] = "answer"
    """What a configuration that the sampler proposes again gets: its first trial's result, or another seed."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Seeds the search, and the trials unless their seed is searched or fixed under `trial`."""
    cpus_per_trial: Positive = 1
    """CPU cores, and threads, of one trial."""
    keep_checkpoints: Positive = 3
    """Finished trials whose checkpoint is kept: the best ones of the sweep."""
    max_failures: Annotated[Whole, Field(ge=0)] = 3
    """How often a trial may lose its worker between two evaluations; each time it resumes from its checkpoint."""
    patience: Annotated[Number, Field(gt=0)] = 1800.0
    """Time without an evaluation after which a trial's worker is taken for hung. [s]"""
    wandb: WandbMode = "auto"
    """Where W&B runs go; auto: online with a key, offline without."""
    project: str = "tinystories"
    """The W&B project."""


class Metric(BaseModel):
    """What is minimised."""

    model_config = FILE
    name: str = "val_loss"
    """val_loss [nat/token] or val_bpb [bit/byte of validation text]; both rank alike, as all trials share their data.
    Any other name is taken for val_loss."""
    goal: Literal["minimize"] = "minimize"
    """Losses are minimised."""


class Replay(BaseModel):
    """How a recorded table is read."""

    model_config = FILE
    columns: dict[str, str] = Field(default_factory=dict)
    """What the table calls our columns: `config`, the searched parameters, tokens, flops, seconds and the metric."""


class Parameter(BaseModel):
    """The values of one searched parameter, in W&B's words.

    Either `value`, or `values`, or `min` and `max`, or `mu` and `sigma` of a normal distribution.
    """

    model_config = FILE
    value: bool | int | float | str | None = None
    """The only value; the parameter is then not searched but fixed, as under `trial`."""
    values: list[bool | int | float | str] | None = None
    """A list of values, whose order counts with method grid alone."""
    probabilities: list[Plain] | None = None
    """How likely each of the values is drawn by method random; by default all alike."""
    min: Plain | None = None
    """The smallest value."""
    max: Plain | None = None
    """The largest value."""
    q: Annotated[Plain, Field(gt=0)] | None = None
    """Distance between values, from min on; with `mu` and `sigma`, what values are a multiple of."""
    distribution: Literal[DISTRIBUTIONS] | None = None  # type: ignore[valid-type]
    """How values are drawn between min and max; by default int_uniform for whole numbers, else uniform. The ends of
    log_uniform, q_log_uniform and inv_log_uniform are exponents of e."""
    mu: Plain | None = None
    """Mean of a normal distribution (0), or of the logarithm of a log_normal one."""
    sigma: Annotated[Plain, Field(gt=0)] | None = None
    """Standard deviation of a normal distribution (1), or of the logarithm of a log_normal one. Three to both sides of
    mu are searched."""
    a: Annotated[Plain, Field(gt=0)] | None = None
    """First shape of a beta distribution (1)."""
    b: Annotated[Plain, Field(gt=0)] | None = None
    """Second shape of a beta distribution (1)."""


def _trial_value(name: str) -> Any:
    """The type of a key under `trial`; the schema shows what the check takes."""
    shown: dict[Any, dict[str, Any]] = {
        int: {"type": ["integer", "string"]},
        float: {"type": ["number", "string"]},
        bool: {"type": "boolean"},
    }
    schema = shown.get(kind(name), {"enum": [*get_args(kind(name))]})
    return Annotated[Any, BeforeValidator(lambda raw: typed(raw, kind(name))), WithJsonSchema(schema)]


def _described(name: str, annotation: Any, **schema: Any) -> Any:
    """A key that describes itself as its field of `TrialConfig` does."""
    return annotation, Field(default=None, description=descriptions().get(name), json_schema_extra=schema)


def _default(name: str) -> Any:
    """The value of a trial that the file leaves open; None: there is none, or it is the sweep's own."""
    default = TrialConfig.__dataclass_fields__[name].default
    return None if default is MISSING or name == "seed" else default


UNITS = {"tokens": "token", "flops": "FLOP", "seconds": "second of training"}
RECIPE = tuple(name for name in SEARCHABLE if name not in SHAPE)
TRIAL_KEYS: dict[str, Any] = {
    **{
        axis: (Plain | None, Field(default=None, gt=0, description=f"Budget of a full trial. [{UNITS[axis]}]"))
        for axis in AXES
    },
    **{name: _described(name, _trial_value(name), default=_default(name)) for name in (*SHAPE, *EVALUATION, *RECIPE)},
}
PARAMETER_KEYS: dict[str, Any] = {name: _described(name, Parameter | None) for name in SEARCHABLE}
Parameters = create_model(
    "Parameters",
    __config__=FILE,
    __doc__="What is searched; whatever is fixed stands under `trial` instead.",
    **PARAMETER_KEYS,
)
Trial = create_model(
    "Trial",
    __config__=FILE,
    __doc__="What all trials share: the budget of a full trial under one of tokens, flops or seconds, what is fixed of "
    "the shape, and the recipe.",
    **TRIAL_KEYS,
)


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class SweepFile(Settings):
    """A sweep's YAML: W&B's sweep vocabulary, plus `trial` for what is fixed."""

    name: Annotated[str | None, BeforeValidator(_name)] = None
    """Names the run folder and groups the W&B runs; by default the file's name without its ending."""
    metric: Metric = Field(default_factory=Metric)
    """What is minimised."""
    parameters: Parameters  # type: ignore[valid-type]
    """What is searched."""
    limits: Limits = Field(default_factory=Limits)
    """What shapes must keep to besides."""
    points: list[dict[str, Any]] = Field(default_factory=list)
    """Configurations to try first, each with a value for every searched parameter."""
    run_cap: Positive | None = None
    """Number of trials; by default 20, and with method grid all that there are."""
    trial: Trial = Field(default_factory=Trial)  # type: ignore[valid-type]
    """What all trials share."""
    method: Annotated[str | None, BeforeValidator(_method)] = None
    """How configurations are proposed: bayes (a model of all learning curves, the default), random, grid, a sampler of
    Optuna (tpe, gp, cmaes, qmc, nsga2, nsga3), or module:Class of another sampler of Optuna. With `pareto` the default
    is tpe."""
    replay: Replay = Field(default_factory=Replay)
    """How a table of recorded curves is read, for `--replay`."""
