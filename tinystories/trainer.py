"""Training one model: a generator that yields a record at every evaluation."""

import copy
import math
import time
from collections.abc import Iterator
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

FIRST_STEP = 0.01
"""Share of the warm-up at which a budget in seconds begins, for its first update should not be in vain."""
LOOK_EVERY = 20
"""Updates between two looks at the training loss, each of which makes the host wait for a GPU. [update]"""
DIVERGED = 1.5
"""A loss above this many times the first one ends the run: half as bad again as random weights is confidently
wrong, far outside what batches differ by, and no use to wait for."""


class Trainer:
    """Trains one model on one device; on a CPU in float32 its losses repeat to the bit.

    Args:
        config: what to train.
        dataset: what to train it on.
        resume: the state to go on from, as if the run had not been interrupted.
        device: auto, cpu or cuda; auto takes the GPU when there is one.

    Raises:
        ValueError: the budget is too short for its evaluations, `resume` is of another trial or other data, or
            there is no such device.
    """

    def __init__(
        self, config: TrialConfig, dataset: Dataset, *, resume: Checkpoint | None = None, device: str = "auto"
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.steps = steps(config, dataset.vocab_size)
        self.device = _device(device)
        self.precision = _precision(config.dtype, self.device)
        self.model = _seeded_model(config, dataset.vocab_size).to(self.device)
        self.optimizer = make_optimizer(self.model, config)
        self.metrics: Metrics | None = None
        self.step = 0
        self.seen_loss = math.inf
        self._rate = 0.0
        self._first_loss = math.inf
        self._seconds = 0.0
        self._flops_per_step = flops_per_step(config, dataset.vocab_size)
        self._autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")
        if resume:
            self._restore(resume)

    @property
    def progress(self) -> float:
        """Share of the budget that is spent; a step may take it a little above 1."""
        return self.step / self.steps if self.steps else self._seconds / self.config.budget

    def run(self) -> Iterator[Metrics]:
        """Train to the end of the budget, or to a divergence; a record at every evaluation.

        Evaluation k of n follows the first update at which k/n of the budget is spent. What it takes itself counts
        towards a budget in seconds, too. The caller may stop here.
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
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        _require_same(checkpoint, self.config, self.dataset)
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.metrics = checkpoint.metrics
        self.step = checkpoint.metrics.step
        self._first_loss = checkpoint.first_loss
        self._seconds = checkpoint.metrics.seconds

    def _train_and_evaluate(self, evaluation: int) -> Metrics:
        before, first_step, first_second = self.metrics, self.step, self._seconds
        train_loss = self._train_until(evaluation)
        trained, started = self._seconds - first_second, time.perf_counter()
        val_loss = val_bpb = math.inf
        if not self._diverged(train_loss):
            with self._autocast:
                val_loss, val_bpb = evaluate(self.model, self.dataset, batch_size=self.config.batch_size)
        self._seconds += time.perf_counter() - started
        return Metrics(
            evaluation=evaluation,
            step=self.step,
            tokens=self.step * self.config.tokens_per_step,
            flops=float(self.step * self._flops_per_step),
            seconds=self._seconds,
            train_loss=train_loss,
            val_loss=val_loss,
            val_bpb=val_bpb,
            best_val_loss=min(before.best_val_loss if before else math.inf, val_loss),
            learning_rate=self._rate,
            tokens_per_second=(self.step - first_step) * self.config.tokens_per_step / trained,
            diverged=self._diverged(val_loss),
        )

    def _train_until(self, evaluation: int) -> float:
        """Update until the evaluation is due; the mean loss, or the one that shows a divergence. [nat/token]"""
        first_step, target, diverged = self.step, evaluation / self.config.evaluations, False
        total = torch.zeros((), device=self.device)
        started = time.perf_counter() - self._seconds
        # At least one update: a slow one can make two evaluations due in a budget of seconds.
        while self.step == first_step or (self.progress < target and not diverged):
            loss = self._update()
            total += loss
            if self.step % LOOK_EVERY == 1:
                diverged = self._look(loss.item())
            self._seconds = time.perf_counter() - started
        mean = total.item() / (self.step - first_step)
        self._seconds = time.perf_counter() - started  # now with what the GPU had left to do
        return self.seen_loss if diverged else mean

    def _update(self) -> Tensor:
        """Train on one batch; its loss, left on the device. [nat/token]"""
        config = self.config
        middle = self.progress + 0.5 / self.steps if self.steps else max(self.progress, FIRST_STEP * config.warmup)
        self._rate = learning_rate(middle, config)
        set_learning_rate(self.optimizer, self._rate)
        batch = self.dataset.batch(
            seed=config.seed, step=self.step, batch_size=config.batch_size, context=config.context
        )
        inputs_BL, targets_BL = to_device(batch, self.device)
        with self._autocast:
            loss = self.model.loss(inputs_BL, targets_BL)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss.detach()

    def _look(self, loss: float) -> bool:
        """Take note of a training loss; whether it shows a divergence."""
        self.seen_loss = loss
        if self.step == 1:
            self._first_loss = loss
        return self._diverged(loss)

    def _diverged(self, loss: float) -> bool:
        return not loss <= DIVERGED * self._first_loss or not math.isfinite(loss)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    here = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if name not in here:
        raise ValueError(f"device {name!r} is not here; allowed: auto, {', '.join(here)}")
    return torch.device(name)


def _seeded_model(config: TrialConfig, vocab_size: int) -> GPTNeo:
    """Initial weights that depend on the seed alone, made on the CPU with the caller's random state kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return GPTNeo(config.model(vocab_size))


def _precision(dtype: str, device: torch.device) -> str:
    """Precision of the matrix products; weights and optimiser are float32 in any case.

    On a CPU, auto is float32 even where there are bfloat16 instructions: losses then repeat to the bit, and small
    models gain nothing. Measured here (AVX-512 with bfloat16, one thread, 16 sequences of 128 tokens, vocabulary
    1024): bfloat16 trains 2x64 at 0.98 and 4x128 at 1.45 times the speed of float32.
    """
    if dtype != "auto":
        return dtype
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_bfloat16 else "float32"


def _require_same(checkpoint: Checkpoint, config: TrialConfig, dataset: Dataset) -> None:
    for field in fields(config):
        theirs, ours = getattr(checkpoint.config, field.name), getattr(config, field.name)
        if theirs != ours:
            raise ValueError(f"the checkpoint was trained with {field.name} {theirs}, not {ours}")
    if checkpoint.data_fingerprint != dataset.fingerprint:
        raise ValueError(
            f"the checkpoint was trained on data {checkpoint.data_fingerprint}, {dataset.folder} holds "
            f"{dataset.fingerprint}"
        )
