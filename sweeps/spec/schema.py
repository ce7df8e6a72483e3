"""One sweep as its YAML says it, and what follows from it; `load` makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass as checked

from sweeps.spec.bounds import largest_trials, within_limits
from sweeps.spec.fields import CHECKED
from sweeps.spec.recipe import Value
from sweeps.spec.space import Space
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
        space = within_limits(self.space, self.trial, vocab_size)
        for point in self.points:
            if not space.contains(point):
                raise ValueError(f"points: {point} is outside limits {space.limits}")
        smallest = min(size.evaluation_tokens(trial, vocab_size) for trial in largest_trials(space, self.trial))
        return replace(self, space=space, trial=replace(self.trial, evaluation_tokens=smallest))

    def largest_trial(self, vocab_size: int) -> TrialConfig:
        """The trial with the most parameters on data of so many tokens; what does not count there is largest, too."""
        trials = largest_trials(self.space, self.trial)
        return max(trials, key=lambda trial: size.parameters(trial.model(vocab_size)))

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
