"""Training one model: a generator that yields a record at every evaluation."""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from tinystories import compiling
from tinystories import device as machine
from tinystories.checkpoint import Checkpoint, ForeignCheckpointError
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset, Tokens
from tinystories.data.loader import ahead
from tinystories.divergence import LOOK_EVERY, LossWatch
from tinystories.evaluate import Evaluation, Text, evaluate, sample
from tinystories.metrics import Metrics
from tinystories.models.model import GPTNeo
from tinystories.models.size import evaluation_tokens, flops_per_step, steps
from tinystories.optim import learning_rate, make_optimizer, set_learning_rate
from tinystories.step import Step

FIRST_STEP = 0.01
"""Share of the warm-up at which a budget in seconds begins, for its first update should not be in vain."""
DIVERGED_EVALUATION = Evaluation(loss=math.inf, se=math.inf, bpb=math.inf)
"""The evaluation of a run that has diverged: its model is not asked."""


class Trainer:
    """Trains one model on one device; on a CPU its losses repeat to the bit, compiled ones of a resumed run within
    rounding, as the first update of a process is never compiled.

    Args:
        config: what to train.
        dataset: what to train it on.
        resume: the state to go on from, as if the run had not been interrupted.
        device: auto, cpu or cuda; auto takes the GPU when there is one.
        compiled: whether to compile; None: if it pays, see `compiling.pays`.
        shared_code: folder or URI through which machines share compiled code.

    Raises:
        ForeignCheckpointError: `resume` is of another trial or other data.
        ValueError: the budget is too short for its evaluations, or there is no such device.
    """

    def __init__(
        self,
        config: TrialConfig,
        dataset: Dataset,
        *,
        resume: Checkpoint | None = None,
        device: str = "auto",
        compiled: bool | None = None,
        shared_code: str | None = None,
    ) -> None:
        self.config = config
        self.dataset = dataset
        self.steps = steps(config, dataset.vocab_size)
        self.device = machine.choose(device)
        if self.device.type == "cpu":
            machine.keep_freed_memory()
        dtype = machine.precision(config.dtype, self.device)
        if compiled is None:
            compiled = compiling.pays(config, dataset.vocab_size, dtype=dtype, device=self.device)
        self.model = _seeded_model(config, dataset.vocab_size, dtype).to(self.device)
        self.optimizer = make_optimizer(self.model, config)
        self.metrics: Metrics | None = None
        self.step = 0
        self._losses = LossWatch(resume.first_loss if resume else math.inf)
        self._gradient = Step(self.model, batch_size=config.batch_size, seed=config.seed, compiles=compiled)
        self._shared_code = shared_code
        self._rate = 0.0
        self._seconds = 0.0
        self._started = 0.0
        self._sample = sample(dataset, evaluation_tokens(config, dataset.vocab_size))
        self._flops_per_step = flops_per_step(config, dataset.vocab_size)
        if resume:
            self._restore(resume)
        self._batches = ahead(_deal(config, dataset, self.step), self.device)

    @property
    def precision(self) -> str:
        """Precision of the matrix products: float32 or bfloat16."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def seen_loss(self) -> float:
        """The last training loss that the host has read; infinite before the first. [nat/token]"""
        return self._losses.seen

    @property
    def progress(self) -> float:
        """Share of the budget that is spent; a step may take it a little above 1."""
        return self.step / self.steps if self.steps else self._seconds / self.config.budget

    def run(self) -> Iterator[Metrics]:
        """Train to the end of the budget, or to a divergence; a record at every evaluation.

        Evaluation k of n follows the first update at which k/n of the budget is spent. It reads a sample of the
        validation stories, the last one then all of them. What it takes itself counts towards a budget in seconds,
        too. The caller may stop here.
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
            precision=self.precision,
            data_fingerprint=self.dataset.fingerprint,
            tokenizer=self.dataset.tokenizer,
            metrics=self.metrics,
            model=_on_host(self.model.state_dict()),
            optimizer=_on_host(self.optimizer.state_dict()),
            first_loss=self._losses.first,
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        _require_same(checkpoint, self.config, self.dataset)
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.metrics = checkpoint.metrics
        self.step = checkpoint.metrics.step
        self._seconds = checkpoint.metrics.seconds

    def update(self) -> Tensor:
        """Train on the next batch; its loss, left on the device. [nat/token]"""
        batch = next(self._batches)
        if self._gradient.pending:
            self._compile(*batch)
        self._rate = learning_rate(self._middle, self.config)
        set_learning_rate(self.optimizer, self._rate)
        loss = self._gradient(*batch, self.step)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self._gradient.clear()
        self.step += 1
        return loss

    @property
    def _middle(self) -> float:
        """Share of the budget that is spent in the middle of the next update."""
        if self.steps:
            return self.progress + 0.5 / self.steps
        return max(self.progress, FIRST_STEP * self.config.warmup)

    def _compile(self, inputs_BL: Tensor, targets_BL: Tensor) -> None:
        """Make compiled code, with the clock stopped: whether it lies on disk already must not change a result."""
        started = time.perf_counter()
        self._gradient.compile_if_possible(inputs_BL, targets_BL, shared=self._shared_code)
        self._started += time.perf_counter() - started

    def _train_and_evaluate(self, evaluation: int) -> Metrics:
        before, first_step, first_second = self.metrics, self.step, self._seconds
        train_loss = self._train_until(evaluation)
        trained, started = self._seconds - first_second, time.perf_counter()
        sampled = found = DIVERGED_EVALUATION
        last = evaluation == self.config.evaluations
        if not self._losses.is_divergence(train_loss):
            sampled = found = self._evaluate(self._sample)
            if last and len(self._sample) < len(self.dataset.valid):
                found = self._evaluate(self.dataset.valid)
        self._seconds += time.perf_counter() - started
        earlier = before.best_val_loss if before else math.inf  # on the sample, as only the last is on all stories
        diverged = self._losses.is_divergence(found.loss)
        return Metrics(
            evaluation=evaluation,
            step=self.step,
            tokens=self.step * self.config.tokens_per_step,
            flops=float(self.step * self._flops_per_step),
            seconds=self._seconds,
            train_loss=train_loss,
            val_loss=found.loss,
            val_loss_se=found.se,
            sample_loss=sampled.loss,
            val_bpb=found.bpb,
            best_val_loss=found.loss if last and not diverged else min(earlier, sampled.loss),
            learning_rate=self._rate,
            tokens_per_second=(self.step - first_step) * self.config.tokens_per_step / trained,
            diverged=diverged,
        )

    def _evaluate(self, text_N: Text) -> Evaluation:
        """What the model makes of validation text, in smaller batches if memory runs out."""
        while True:
            try:
                return evaluate(self.model, self.dataset, batch_size=self._gradient.micro_batch, text_N=text_N)
            except Exception as error:
                if not machine.is_out_of_memory(error) or self._gradient.micro_batch == 1:
                    raise
            self._gradient.shrink()

    def _train_until(self, evaluation: int) -> float:
        """Update until the evaluation is due; the mean loss, or the one that shows a divergence. [nat/token]"""
        first_step, target, diverged = self.step, evaluation / self.config.evaluations, False
        total = torch.zeros((), device=self.device)
        self._started = time.perf_counter() - self._seconds
        # At least one update: a slow one can make two evaluations due in a budget of seconds.
        while self.step == first_step or (self.progress < target and not diverged):
            loss = self.update()
            total += loss
            if self.step % LOOK_EVERY == 1:
                self._losses.add(self.step, loss)
                diverged = self._losses.has_diverged(most_left=1)
            self._seconds = time.perf_counter() - self._started
        mean = total.item() / (self.step - first_step)
        self._seconds = time.perf_counter() - self._started  # now with what the GPU had left to do
        diverged = diverged or self._losses.has_diverged(most_left=0)
        return self.seen_loss if diverged else mean


def _deal(config: TrialConfig, dataset: Dataset, first_step: int) -> Iterator[tuple[Tokens, Tokens]]:
    """The batches of this update and all that follow."""
    for step in itertools.count(first_step):
        yield dataset.batch(seed=config.seed, step=step, batch_size=config.batch_size, context=config.context)


def _seeded_model(config: TrialConfig, vocab_size: int, dtype: torch.dtype) -> GPTNeo:
    """Initial weights that depend on the seed alone, made on the CPU with the caller's random state kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return GPTNeo(config.model(vocab_size), dtype=dtype)


def _on_host(state: Any) -> Any:
    """A copy of a state, its tensors in the host's memory."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: _on_host(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_host(value) for value in state]
    return state


def _require_same(checkpoint: Checkpoint, config: TrialConfig, dataset: Dataset) -> None:
    for field in fields(config):
        theirs, ours = getattr(checkpoint.config, field.name), getattr(config, field.name)
        if theirs != ours:
            raise ForeignCheckpointError(f"the checkpoint was trained with {field.name} {theirs}, not {ours}")
    if checkpoint.data_fingerprint != dataset.fingerprint:
        raise ForeignCheckpointError(
            f"the checkpoint was trained on data {checkpoint.data_fingerprint}, {dataset.folder} holds "
            f"{dataset.fingerprint}"
        )
