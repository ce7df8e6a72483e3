"""How a trial becomes a row of results.csv, and the configuration that its W&B run shows."""

from dataclasses import asdict
from typing import Any, cast

from sweeps.limits import SECONDS
from sweeps.record.tables import COLUMNS, MEASURED, Result, Status
from sweeps.spec.schema import Spec
from sweeps.trials import Trial, Trials
from tinystories.config import TrialConfig
from tinystories.models import size

SHOWN: dict[str, Status] = {"paused": "stopped", "running": "stopped", "interrupted": "stopped"}
"""What the tables call states that may change: a trial that is promoted shows as it was paused until it ends."""


class Rows:
    """Makes rows.

    Args:
        spec: the sweep.
        vocab_size: of the data. [token]
        root: the run folder; checkpoints in it are named relative to it.
    """

    def __init__(self, spec: Spec, *, vocab_size: int, root: str) -> None:
        self._spec = spec
        self._vocab_size = vocab_size
        self._root = root

    @property
    def searched(self) -> list[str]:
        """Searched parameters that are no fixed columns."""
        return [name for name in self._spec.space.parameters if name not in COLUMNS]

    def relative(self, checkpoint: str) -> str:
        """A checkpoint's path relative to the run folder, which may move, if it lies there."""
        return checkpoint.removeprefix(f"{self._root}/")

    def config(self, trial: Trial) -> TrialConfig:
        """The whole configuration of a trial."""
        confirming = trial.stage == "confirm"
        config_of = self._spec.confirming_config if confirming else self._spec.trial_config
        return config_of(trial.trained)

    def sizes(self, config: TrialConfig) -> dict[str, int]:
        """Its parameters, with and without embeddings."""
        model = config.model(self._vocab_size)
        return {
            "parameters": size.parameters(model),
            "non_embedding_parameters": size.non_embedding_parameters(model),
        }

    def shown(self, trial: Trial) -> dict[str, Any]:
        """The configuration as W&B shows it."""
        config = self.config(trial)
        return asdict(config) | self.sizes(config) | {"stage": trial.stage}

    def row(self, trial: Trial) -> Result:
        """A trial that has ended or is paused, or as it was before it was promoted."""
        config = self.config(trial)
        known, checkpoint = trial.evaluations, trial.checkpoint
        if trial.unfinished:
            known = [metrics for metrics in known if metrics.evaluation <= trial.promoted_from]
            checkpoint = trial.promoted_with
        metrics = known[-1] if known else None
        return Result(
            trial_id=trial.trial_id,
            stage=trial.stage,
            status=SHOWN.get(trial.state, cast(Status, trial.state)),
            depth=config.depth,
            width=config.width,
            heads=config.heads,
            learning_rate=config.learning_rate,
            seed=config.seed,
            checkpoint=checkpoint.removeprefix(f"{self._root}/"),
            error=" ".join(trial.error.split()),
            gpu_hours=trial.gpu_share * (metrics.seconds if metrics else 0.0) / SECONDS,
            searched={name: getattr(config, name) for name in self.searched},
            **self.sizes(config),
            **({name: getattr(metrics, name) for name in MEASURED} if metrics else {}),
        )

    def table(self, trials: Trials) -> list[Result]:
        """The rows of all trials that have one."""
        return [self.row(trial) for trial in trials.values() if has_row(trial)]


def has_row(trial: Trial) -> bool:
    """Whether a trial has a row in results.csv: it has ended, is paused, or was before it was promoted."""
    return trial.state != "abandoned" and (not trial.unfinished or trial.promoted_from > 0)
