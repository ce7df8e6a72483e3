"""One sweep as its YAML says it, and what follows from it; `load` makes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sweeps.spec.space import Assignment, Method, Space
from tinystories.config import Axis, TrialConfig
from tinystories.models import size

WandbMode = Literal["auto", "online", "offline", "disabled"]
Objective = Literal["parameters", "flops"]
StoppingType = Literal["screen", "asha"]
FIRST = 9
"""The first rung is at one part of so many, unless the spec says otherwise: behind the warm-up, a twentieth."""
METRICS = ("val_loss", "val_bpb")


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When poor trials stop.

    screen: all at the first rung; when no more are to come, the best `eta` times `finalists` go on to the second rung,
    at `eta` times as many evaluations, and the best `finalists` there to their end.
    asha: at evaluations min_iter, min_iter * eta, ..., where the best 1/eta go on at once.

    Source: Egele et al. 2023, arXiv:2307.15422; Li et al. 2020, arXiv:1810.05934, stopping variant, whose r is
    `min_iter`.
    """

    type: StoppingType = "screen"
    """Which of them; with `pareto`, asha."""
    finalists: int = 3
    """Trials that are trained to their end after a screening."""
    looks: int = 2
    """Rungs of a screening."""
    eta: int = 3
    """Reduction factor: of the trials from a rung to the next, whose evaluations are so many times as many."""
    min_iter: int | None = None
    """The first rung; None: a ninth of the evaluations. On recorded curves that cross, a first rung at a twenty-seventh
    stopped the best shapes (docs/measurements.md). [evaluation]"""

    def __post_init__(self) -> None:
        if self.finalists < 1:
            raise ValueError(f"early_terminate.finalists {self.finalists} must be at least 1")
        if self.looks < 1:
            raise ValueError(f"early_terminate.looks {self.looks} must be at least 1")
        if self.eta < 2:
            raise ValueError(f"early_terminate.eta {self.eta} must be at least 2")
        if self.min_iter is not None and self.min_iter < 1:
            raise ValueError(f"early_terminate.min_iter {self.min_iter} must be at least 1")

    def rungs(self, evaluations: int) -> tuple[int, ...]:
        """The evaluations at which trials are compared, the last one of a full run left out."""
        rungs = []
        rung = self.min_iter or max(1, evaluations // FIRST)
        while rung < evaluations:
            rungs.append(rung)
            rung *= self.eta
        return tuple(rungs[: self.looks] if self.type == "screen" else rungs)


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The best configurations of a search are trained again, to the full budget, with new seeds."""

    top: int = 3
    """Configurations."""
    seeds: int = 3
    """New seeds of each."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError(f"confirm.top {self.top} must be at least 1")
        if self.seeds < 2:
            raise ValueError(f"confirm.seeds {self.seeds} must be at least 2, or there is no interval")


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
    early_terminate: Stopping | None
    """When poor trials stop; none: every trial runs to its end."""
    confirm: Confirm | None
    """What is trained again after the search; none: nothing."""
    trial: Mapping[str, Any]
    """What all trials share: fields of `TrialConfig`."""
    data: str | StoriesData | None
    """A data folder or URI, or the settings of the built-in stories; None: `data/processed`, else stories."""
    trials_per_gpu: int | None
    """Trials that share one GPU, where the cluster has any; 0: trials stay on CPUs; None (auto): as many as its memory
    holds, but one where trials are compared by seconds, since neighbours take them from each other."""
    replay: Mapping[str, str]
    """What a recorded table calls our columns, for `--replay`."""
    points: tuple[Assignment, ...]
    """Configurations to try first."""
    method: Method = "bayes"
    """How configurations are proposed; with `pareto`, tpe unless it says otherwise."""
    pareto: Objective | None = None
    """What is kept small besides the loss: parameters, or the compute of a full trial; None: the loss alone counts."""
    repeats: Literal["answer", "new_seed"] = "answer"
    """What a configuration that the sampler proposes again gets: its first trial's result, or another seed."""
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

    def confirming_config(self, assignment: Assignment) -> TrialConfig:
        """The configuration of a trial that confirms another: its rate cools down, even if searching trials' do not."""
        config = self.trial_config(assignment)
        return replace(config, cooldown=config.cooldown or _default("cooldown"))

    def second_objective(self, config: TrialConfig, vocab_size: int) -> float:
        """What `pareto` keeps small, of one trial. [parameter or FLOP]"""
        model = config.model(vocab_size)
        return size.parameters(model) if self.pareto == "parameters" else config.budget * size.flops_per_token(model)

    def cost_at(self, evaluation: int) -> float:
        """Budget that a trial has spent at one of its evaluations. [token, FLOP or second]"""
        return self.budget * evaluation / self.evaluations

    def for_vocabulary(self, vocab_size: int) -> "Spec":
        """This sweep with the shapes alone that its limits allow on data of so many tokens.

        All its trials evaluate on one sample of stories, which fits the trial that trains on the fewest tokens.

        Raises:
            ValueError: that is none, or not one of `points`.
        """
        bound = self._within_limits(vocab_size)
        smallest = min(size.evaluation_tokens(trial, vocab_size) for trial in bound.widest_trials)
        return replace(bound, trial={"evaluation_tokens": smallest, **bound.trial})

    def _within_limits(self, vocab_size: int) -> "Spec":
        limits = self.space.limits
        if limits.max_parameters is None and limits.max_flops is None:
            return self

        def allows(shape: Mapping[str, int | float]) -> bool:
            trial = self.trial_config({"depth": shape["depth"], "width": shape["width"], "heads": 1})
            model = trial.model(vocab_size)
            if limits.max_parameters is not None and size.parameters(model) > limits.max_parameters:
                return False
            return limits.max_flops is None or trial.budget * size.flops_per_token(model) <= limits.max_flops

        bound = replace(self, space=replace(self.space, allows=allows))
        for point in bound.points:
            if not bound.space.contains(point):
                raise ValueError(f"points: {point} is outside limits {limits}")
        return bound

    def largest_trial(self, vocab_size: int) -> TrialConfig:
        """The trial with the most parameters on data of so many tokens."""
        return max(self.widest_trials, key=lambda trial: size.parameters(trial.model(vocab_size)))

    @property
    def widest_trials(self) -> Iterator[TrialConfig]:
        """A trial of every shape, all else that is searched at its highest."""
        others = {name: parameter.highest for name, parameter in self.space.parameters.items()}
        return (self.trial_config({**others, **shape}) for shape in self.space.shapes)

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
        axis: Axis = self.trial["axis"]
        return axis

    @property
    def budget(self) -> float:
        """Of a full trial. [token, FLOP or second]"""
        budget: float = self.trial["budget"]
        return budget

    @property
    def evaluations(self) -> int:
        """Evaluations of a full trial."""
        return self.trial.get("evaluations", _default("evaluations"))

    @property
    def forecasts(self) -> bool:
        """Whether trials are compared by the losses forecast for their end, instead of those at a rung.

        At equal FLOPs or seconds curves cross, as large models have had few tokens early on; but a curve of fewer than
        `FIRST` evaluations has too few to be forecast by (docs/measurements.md).
        """
        return self.axis != "tokens" and self.evaluations >= FIRST

    @property
    def cooldown(self) -> float:
        """Share of a full trial's budget in which its learning rate falls."""
        share: float = self.trial.get("cooldown", _default("cooldown"))
        return share

    @property
    def rungs(self) -> tuple[int, ...]:
        """Where trials are compared. [evaluation]"""
        return self.early_terminate.rungs(self.evaluations) if self.early_terminate else ()


def _default(name: str) -> Any:
    """Of a field of `TrialConfig`."""
    return TrialConfig.__dataclass_fields__[name].default
