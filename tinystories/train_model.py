"""Training one model: a generator that yields a record at every evaluation, and its command line."""

import copy
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import fields

import torch
from torch import Tensor, nn

from tinystories.checkpoint import Checkpoint
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset
from tinystories.evaluate import evaluate, to_device
from tinystories.metrics import Metrics
from tinystories.models.model import GPTNeo
from tinystories.models.size import flops_per_step, steps
from tinystories.optim import learning_rate, make_optimizer, set_learning_rate

CHECK_EVERY = 50
"""Updates between two looks at the training loss, each of which makes a GPU wait. [update]"""
DIVERGED = 1.5
"""A loss this many times the first one ends the run: a model that is worse than its random start by half is
confidently wrong, which spikes of healthy runs are not."""


class Trainer:
    """Trains one model on one device, deterministically on a CPU.

    Args:
        config: what to train.
        dataset: what to train it on.
        resume: the state to go on from; the run is then the one that was not interrupted.
        device: auto, cpu or cuda; auto takes the GPU when there is one.

    Raises:
        ValueError: the budget is too short for its evaluations, or `resume` is of another trial or other data.
    """

    def __init__(
        self, config: TrialConfig, dataset: Dataset, *, resume: Checkpoint | None = None, device: str = "auto"
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.device = _device(device)
        self.model = _seeded_model(config, dataset.vocab_size).to(self.device)
        self.optimizer = make_optimizer(self.model, config)
        self.steps = steps(config, dataset.vocab_size)
        self.step = 0
        self.metrics: Metrics | None = None
        self._flops_per_step = flops_per_step(config, dataset.vocab_size)
        self._autocast = _autocast(config, self.device)
        self._first_loss = math.nan
        self._training_seconds = 0.0
        if resume:
            _require_same(resume, config, dataset)
            self._restore(resume)

    def run(self) -> Iterator[Metrics]:
        """Train to the end of the budget; a record at every evaluation, the last one at a divergence.

        Evaluation k of n comes at the first update that has spent k/n of the budget, and after at least one.
        A caller may stop asking at any time.
        """
        done = self.metrics.evaluation if self.metrics else 0
        for evaluation in range(done + 1, self.config.evaluations + 1):
            self.metrics = self._train_and_evaluate(evaluation)
            yield self.metrics
            if self.metrics.diverged:
                return

    def checkpoint(self) -> Checkpoint:
        """The state at the last record, to be asked for before the next one."""
        assert self.metrics, "no evaluation yet"
        return Checkpoint(
            config=self.config,
            model_config=self.model.config,
            data_fingerprint=self.dataset.fingerprint,
            tokenizer=self.dataset.tokenizer,
            metrics=self.metrics,
            model=copy.deepcopy(self.model.state_dict()),
            optimizer=copy.deepcopy(self.optimizer.state_dict()),
            first_loss=self._first_loss,
            training_seconds=self._training_seconds,
        )

    @property
    def progress(self) -> float:
        """Share of the budget that is spent."""
        return self.step / self.steps if self.steps else self._training_seconds / self.config.budget

    def _train_and_evaluate(self, evaluation: int) -> Metrics:
        first_step, trained_before = self.step, self._training_seconds
        started = time.perf_counter()
        train_loss = self._train_until(evaluation)
        updates, training_seconds = self.step - first_step, self._training_seconds - trained_before
        val_loss = val_bpb = math.inf
        if not self._diverged(train_loss):
            with self._autocast:
                val_loss, val_bpb = evaluate(self.model, self.dataset, batch_size=self.config.batch_size)
        before = self.metrics
        return Metrics(
            evaluation=evaluation,
            step=self.step,
            tokens=self.step * self.config.tokens_per_step,
            flops=float(self.step * self._flops_per_step),
            seconds=(before.seconds if before else 0.0) + time.perf_counter() - started,
            train_loss=train_loss,
            val_loss=val_loss,
            val_bpb=val_bpb,
            best_val_loss=min(before.best_val_loss if before else math.inf, val_loss),
            learning_rate=self._rate,
            tokens_per_second=updates * self.config.tokens_per_step / training_seconds,
            diverged=self._diverged(val_loss),
        )

    def _train_until(self, evaluation: int) -> float:
        """Update until the evaluation is due; the mean loss, or the loss that shows a divergence. [nat/token]"""
        target = evaluation / self.config.evaluations
        first_step = self.step
        total = torch.zeros((), device=self.device)
        while self.step == first_step or self.progress < target:
            started = time.perf_counter()
            loss = self._update()
            total += loss
            if self.step == 1:
                self._first_loss = loss.item()
            if self.step % CHECK_EVERY == 0 and self._diverged(latest := loss.item()):
                return latest
            self._training_seconds += time.perf_counter() - started
        started = time.perf_counter()
        mean = total.item() / (self.step - first_step)  # waits for a GPU, whose work is part of the time
        self._training_seconds += time.perf_counter() - started
        return mean
