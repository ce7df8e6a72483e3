"""The one record that a training run yields, and everybody downstream shares."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """What is known of a trial at one evaluation. Names are the same in CSV files, Ray Tune and W&B."""

    evaluation: int
    """Number of this evaluation, 1 to `TrialConfig.evaluations`."""
    step: int
    """Updates made."""
    tokens: int
    """Tokens trained on. [token]"""
    flops: float
    """Training FLOPs spent, in closed form. [FLOP]"""
    seconds: float
    """Time spent in training steps and evaluations, over all resumes. [s]"""
    train_loss: float
    """Mean training loss since the last evaluation. [nat/token]"""
    val_loss: float
    """Mean loss over a sample of the validation stories, at the last evaluation over all of them. [nat/token]"""
    val_loss_se: float
    """Standard error of val_loss over stories, see `evaluate`; infinite if there is but one. [nat/token]"""
    sample_loss: float
    """Mean loss over the sample, at the last evaluation too: what unfinished trials are compared by. [nat/token]"""
    val_bpb: float
    """val_loss per byte of validation text; comparable across tokenizers. [bit/byte]"""
    best_val_loss: float
    """What the trial is ranked by: val_loss at its last evaluation, over all stories; before it, where trials compare
    on the sample alone, the lowest sample_loss so far. Never the one and the other at once. [nat/token]"""
    learning_rate: float
    """Rate of the last update, before scaling by width."""
    tokens_per_second: float
    """Training speed since the last evaluation, evaluation time left out. [token/s]"""
    diverged: bool = False
    """The loss was NaN, infinite or far above its start; the run has ended here."""

    @property
    def usable(self) -> bool:
        """Whether the losses are finite numbers of a run that did not diverge."""
        return not self.diverged and math.isfinite(self.val_loss)
