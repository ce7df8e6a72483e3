"""One sweep as its YAML says it, and what follows from it; `load` makes it."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass as checked

from sweeps.spec.fields import CHECKED
from sweeps.spec.recipe import SHAPE, Assignment, Value
from sweeps.spec.space import SIZED, Space
from sweeps.spec.stopping import FIRST, Stopping, StoppingType
from sweeps.spec.sweep_file import METHODS, METRICS, SAMPLERS, Confirm, Objective, Settings, StoriesData, WandbMode
from tinystories.config import Axis, TrialConfig
from tinystories.models import size

__all__ = [
    "FIRST", "METHODS", "METRICS", "SAMPLERS", "Confirm", "Objective", "Settings", "Shape", "Spec", "Stopping",
    "StoppingType", "StoriesData", "WandbMode",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What of its trials' shape a sweep holds constant; None: it is searched."""

    depth: int | None = None
    """Number of layers."""
    width: int | None = None
    """Size of the residual stream."""
    heads: int | None = None
    """Number of attention heads."""


@checked(frozen=True, kw_only=True, config=CHECKED)
class Spec(Settings):
    """One sweep. Two specs are equal if they ask for the same, however their files say it."""

    name: str
    """Names the run folder and groups the W&B runs."""
    metric: str
    """What is minimised; val_loss and val_bpb rank alike, as all trials share their data."""
    space: InstanceOf[Space]
    """What is searched."""
    run_cap: int
    """Number of trials."""
    trial: InstanceOf[TrialConfig]
    """A full trial: what the file fixes, defaults, and of each searched parameter its smallest value."""
    method: str
    """How configurations are proposed."""
    points: tuple[dict[str, Any], ...] = ()
    """Configurations to try first."""
    replay: dict[str, str] = Field(default_factory=dict)
    """What a recorded table calls our columns, for `--replay`."""
    notes: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """What of the file means nothing here or was left to a default, to be said in one line."""

    def trial_config(self, assignment: Mapping[str, Value]) -> TrialConfig:
        """The whole configuration of one trial."""
        return replace(self.trial, **assignment)  # type: ignore[arg-type]

    def confirming_config(self, assignment: Mapping[str, Value]) -> TrialConfig:
        """The configuration of a trial that confirms another: its rate cools down, even if searching trials' do not."""
        config = self.trial_config(assignment)
        default: float = TrialConfig.__dataclass_fields__["cooldown"].default  # type: ignore[assignment]
        return replace(config, cooldown=config.cooldown or default)

    def second_objective(self, config: TrialConfig, vocab_size: int) -> float:
        """What `pareto` keeps small, of one trial. [parameter or FLOP]"""
        model = config.model(vocab_size)
        return size.parameters(model) if self.pareto == "parameters" else config.budget * size.flops_per_token(model)

    def cost_at(self, evaluation: int) -> float:
        """Budget that a trial has spent at one of its evaluations. [token, FLOP or second]"""
        return self.budget * evaluation / self.evaluations

    def for_vocabulary(self, vocab_size: int) -> "Spec":
        """This sweep with the configurations alone that its limits allow on data of so many tokens.

        All its trials evaluate on one sample of stories, which fits the trial that trains on the fewest tokens.

        Raises:
            ValueError: that is none, or not one of `points`.
        """
        bound = self._within_limits(vocab_size)
        smallest = min(size.evaluation_tokens(trial, vocab_size) for trial in bound._largest_trials())
        return replace(bound, trial=replace(bound.trial, evaluation_tokens=smallest))

    def _within_limits(self, vocab_size: int) -> "Spec":
        limits = self.space.limits
        if limits.max_parameters is None and limits.max_flops is None:
            return self
        names = tuple(name for name in (*SHAPE[:2], *SIZED) if name in self.space.parameters)

        @cache
        def keeps(values: tuple[Value, ...]) -> bool:
            trial = self.trial_config({"heads": 1, **dict(zip(names, values, strict=True))})
            model = trial.model(vocab_size)
            if limits.max_parameters is not None and size.parameters(model) > limits.max_parameters:
                return False
            return limits.max_flops is None or trial.budget * size.flops_per_token(model) <= limits.max_flops

        def allows(assignment: Mapping[str, Value]) -> bool:
            return keeps(tuple(assignment.get(name, getattr(self.trial, name)) for name in names))

        bound = replace(self, space=replace(self.space, allows=allows))
        for point in bound.points:
            if not bound.space.contains(point):
                raise ValueError(f"points: {point} is outside limits {limits}")
        return bound

    def largest_trial(self, vocab_size: int) -> TrialConfig:
        """The trial with the most parameters on data of so many tokens; what does not count there is largest, too."""
        return max(self._largest_trials(), key=lambda trial: size.parameters(trial.model(vocab_size)))

    def _largest_trials(self) -> Iterator[TrialConfig]:
        """Of every shape the trials with the largest values of all else."""
        return (self.trial_config(assignment) for assignment in _largest(self.space))

    @property
    def shape(self) -> Shape:
        """What of the shape is fixed."""
        return Shape(**self.space.fixed)

    @property
    def trials(self) -> int:
        """Trials that the sweep has: `run_cap`, or all configurations of a smaller space unless they are repeated."""
        return self.run_cap if self.repeats == "new_seed" else int(min(self.run_cap, self.space.size))

    @property
    def trials_in_all(self) -> int:
        """With those that confirm."""
        if self.confirm is None:
            return self.trials
        confirmed = int(min(self.trials, self.space.size, self.confirm.top))
        return self.trials + confirmed * self.confirm.seeds

    @property
    def axis(self) -> Axis:
        """What the budget of a trial is counted in, and trials are compared at equal amounts of."""
        return self.trial.axis

    @property
    def budget(self) -> float:
        """Of a full trial. [token, FLOP or second]"""
        return self.trial.budget

    @property
    def evaluations(self) -> int:
        """Evaluations of a full trial."""
        return self.trial.evaluations

    @property
    def forecasts(self) -> bool:
        """Whether trials are compared by the losses forecast for their end, instead of those at a rung.

        At equal FLOPs or seconds curves cross, as large models have had few tokens early on; but a curve of fewer than
        `FIRST` evaluations has too few to be forecast by (docs/notebook.md).
        """
        return self.axis != "tokens" and self.evaluations >= FIRST

    @property
    def cooldown(self) -> float:
        """Share of a full trial's budget in which its learning rate falls; the largest where that is searched."""
        searched = self.space.parameters.get("cooldown")
        return float(searched.highest) if searched else self.trial.cooldown

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Where trials are compared. [evaluation]"""
        return self.early_terminate.rungs(self.evaluations) if self.early_terminate else ()


def _largest(space: Space) -> Iterator[Assignment]:
    """Of every shape the configurations with the largest values of all else, as far as the limits allow."""
    highest = {name: parameter.highest for name, parameter in space.parameters.items() if name not in SHAPE}
    sized = [space.parameters[name] for name in space.sized]
    finite = all(math.isfinite(parameter.count) for parameter in sized)
    for shape in space.shapes:
        if space.allows({**highest, **shape}):
            yield {**highest, **shape}
            continue
        for values in itertools.product(*(parameter.values if finite else [parameter.lowest] for parameter in sized)):
            known = {**highest, **shape, **dict(zip(space.sized, values, strict=True))}
            if space.allows(known):
                yield known
