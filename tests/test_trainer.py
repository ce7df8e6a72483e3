import itertools
import math
import threading
import weakref
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tinystories import checkpoint
from tinystories import trainer as trainer_module
from tinystories.config import TrialConfig
from tinystories.data.dataset import Dataset
from tinystories.device import give_memory_back
from tinystories.evaluate import Evaluation, Text, evaluate, sample
from tinystories.metrics import Metrics
from tinystories.models.model import GPTNeo
from tinystories.models.size import flops_per_step
from tinystories.step import Step
from tinystories.trainer import Trainer


@pytest.fixture(autouse=True)
def no_compiled_code() -> None:
    """Torch compiles a function for a limited number of cases in a process, and other tests have used some."""
    torch.compiler.reset()


def make_trial(**changes: object) -> TrialConfig:
    """A trial of 32 updates: 16 sequences of 32 tokens each time, so 512 tokens."""
    shape = {"depth": 2, "width": 16, "heads": 2, "context": 32, "window": 8}
    tiny = {**shape, "budget": 16_000, "evaluations": 4, "dtype": "float32"}
    return TrialConfig(**tiny | changes)  # type: ignore[arg-type]


def without_time(metrics: Metrics) -> Metrics:
    return replace(metrics, seconds=0, tokens_per_second=0)


def test_evaluations_divide_the_budget_evenly(dataset: Dataset) -> None:
    trial = make_trial()

    records = list(Trainer(trial, dataset).run())

    assert [record.evaluation for record in records] == [1, 2, 3, 4]
    assert [record.step for record in records] == [8, 16, 24, 32]
    assert [record.tokens for record in records] == [4096, 8192, 12288, 16384]
    assert [record.flops for record in records] == [
        record.step * flops_per_step(trial, dataset.vocab_size) for record in records
    ]


@pytest.mark.parametrize("evaluations", [3, 5, 7, 32])
def test_uneven_evaluations_come_with_the_first_update_that_reaches_them(dataset: Dataset, evaluations: int) -> None:
    records = list(Trainer(make_trial(evaluations=evaluations), dataset).run())

    assert [record.step for record in records] == [
        math.ceil(32 * number / evaluations) for number in range(1, evaluations + 1)
    ]


def test_training_lowers_the_loss(dataset: Dataset) -> None:
    first, *_, last = Trainer(make_trial(), dataset).run()

    assert last.val_loss < first.val_loss < math.log(dataset.vocab_size)
    assert last.train_loss < first.train_loss
    assert last.best_val_loss == last.val_loss
    assert not last.diverged


def test_dropout_changes_training_and_not_how_the_model_is_judged(dataset: Dataset) -> None:
    trials = (make_trial(dropout=share, evaluation_tokens=len(dataset.valid)) for share in (0, 0.5))
    plain, dropped = (Trainer(trial, dataset) for trial in trials)
    records = [next(trainer.run()) for trainer in (plain, dropped)]
    plain.model.load_state_dict(dropped.model.state_dict())

    assert records[0].train_loss != records[1].train_loss
    assert evaluate(plain.model, dataset, batch_size=16).loss == pytest.approx(records[1].sample_loss, rel=1e-6)


def test_every_evaluation_but_the_last_reads_the_sample(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(evaluation_tokens=2000), dataset)
    for record in trainer.run():
        found = [
            evaluate(trainer.model, dataset, batch_size=16, text_N=text_N)
            for text_N in (sample(dataset, 2000), dataset.valid)
        ]
        last = record.evaluation == 4

        assert (record.val_loss, record.val_loss_se, record.val_bpb) == astuple(found[last])
        assert record.sample_loss == found[0].loss
    assert record.best_val_loss == record.val_loss


def test_trials_of_every_seed_and_shape_read_the_same_stories(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def note(*arguments: object, text_N: Text, **options: object) -> Evaluation:
        read.append(text_N)
        return Evaluation(loss=1.0, se=0.1, bpb=1.0)

    monkeypatch.setattr(trainer_module, "evaluate", note)
    for changes in ({}, {"seed": 1}, {"width": 32}, {"budget": 32_000}):
        next(Trainer(make_trial(evaluation_tokens=3000, **changes), dataset).run())

    assert len(read[0]) < len(dataset.valid)
    assert all(np.array_equal(text_N, read[0]) for text_N in read)


@pytest.mark.parametrize("sampled_losses", [(2.8, 2.7, 2.6, 2.5), (2.8, 2.7, 2.4, 2.5)])
def test_a_trial_is_ranked_on_one_text(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, sampled_losses: tuple[float, ...]
) -> None:
    """On the sample before its end, and then on the whole file, even if that is harder and an earlier loss was lower:
    or those who were best early would be compared with others on an easier text.
    """

    def harder_on_the_whole(*arguments: object, text_N: Text, **options: object) -> Evaluation:
        loss = 3.0 if len(text_N) == len(dataset.valid) else next(sampled)
        return Evaluation(loss=loss, se=0.1, bpb=1.0)

    monkeypatch.setattr(trainer_module, "evaluate", harder_on_the_whole)
    sampled = iter(sampled_losses)
    records = list(Trainer(make_trial(evaluation_tokens=2000), dataset).run())

    assert [record.best_val_loss for record in records] == [2.8, 2.7, min(sampled_losses[:3]), 3.0]


def test_a_trial_that_diverges_at_its_end_has_its_best_loss_on_the_sample(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter((2.8, 2.7, 2.6, math.nan, math.nan))
    monkeypatch.setattr(trainer_module, "evaluate", lambda *_, **__: Evaluation(loss=next(losses), se=0.1, bpb=1.0))
    *_, last = Trainer(make_trial(evaluation_tokens=2000), dataset).run()

    assert (last.diverged, last.best_val_loss) == (True, 2.6)


def test_budget_in_flops_ends_there(dataset: Dataset) -> None:
    per_step = flops_per_step(make_trial(), dataset.vocab_size)

    *_, last = Trainer(make_trial(axis="flops", budget=9.5 * per_step), dataset).run()

    assert (last.step, last.flops) == (10, 10 * per_step)


def test_budget_in_seconds_counts_training_and_evaluations(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock by which every update takes 1 s and every evaluation 3 s."""
    clock = 0.0
    update = Trainer.update

    def slow_update(self: Trainer) -> torch.Tensor:
        nonlocal clock
        clock += 1
        return update(self)

    def slow_evaluate(*arguments: object, **options: object) -> Evaluation:
        nonlocal clock
        clock += 3
        return Evaluation(loss=1.0, se=0.1, bpb=1.0)

    monkeypatch.setattr(Trainer, "update", slow_update)
    monkeypatch.setattr(trainer_module, "evaluate", slow_evaluate)
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: clock)

    records = list(Trainer(make_trial(axis="seconds", budget=20, evaluations=2), dataset).run())

    assert [(record.step, record.seconds) for record in records] == [(10, 13), (17, 23)]
    assert [record.tokens_per_second for record in records] == [512, 512]


def test_first_update_of_a_budget_in_seconds_learns(dataset: Dataset) -> None:
    first = next(Trainer(make_trial(axis="seconds", budget=1e-9, evaluations=1), dataset).run())

    assert first.step == 1
    assert first.learning_rate > 0


def test_run_repeats_to_the_bit(dataset: Dataset) -> None:
    once, again = Trainer(make_trial(), dataset), Trainer(make_trial(), dataset)

    assert [without_time(record) for record in once.run()] == [without_time(record) for record in again.run()]
    torch.testing.assert_close(once.model.state_dict(), again.model.state_dict(), atol=0, rtol=0)


def test_seed_changes_weights_and_data(dataset: Dataset) -> None:
    zero, one = Trainer(make_trial(seed=0), dataset), Trainer(make_trial(seed=1), dataset)

    assert not torch.equal(zero.model.wte.weight, one.model.wte.weight)
    assert next(zero.run()).train_loss != next(one.run()).train_loss


def test_global_random_state_is_neither_used_nor_changed(dataset: Dataset) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    weights = Trainer(make_trial(), dataset).model.wte.weight

    torch.manual_seed(5)
    again = Trainer(make_trial(), dataset)

    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(again.model.wte.weight, weights)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_resumed_run_is_the_uninterrupted_one(dataset: Dataset, tmp_path: Path, stop: int, dropout: float) -> None:
    trial = make_trial(dropout=dropout)
    whole = Trainer(trial, dataset)
    expected = [without_time(record) for record in whole.run()]
    interrupted = Trainer(trial, dataset)
    for _ in itertools.islice(interrupted.run(), stop):
        location = checkpoint.save(interrupted.checkpoint(), str(tmp_path))

    resumed = Trainer(trial, dataset, resume=checkpoint.load(location))

    assert [without_time(record) for record in resumed.run()] == expected[stop:]
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), atol=0, rtol=0)


def test_checkpoint_does_not_change_as_training_goes_on(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    run = trainer.run()
    next(run)
    taken = trainer.checkpoint()
    before = taken.model["wte.weight"].clone()
    steps_before = taken.optimizer["state"][0]["step"].item()

    next(run)

    assert torch.equal(taken.model["wte.weight"], before)
    assert taken.optimizer["state"][0]["step"].item() == steps_before


def test_time_goes_on_after_a_resume(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    first = next(trainer.run())

    second = next(Trainer(make_trial(), dataset, resume=trainer.checkpoint()).run())

    assert second.seconds > first.seconds


def test_finished_trial_yields_nothing_more(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    *_, last = trainer.run()

    finished = Trainer(make_trial(), dataset, resume=trainer.checkpoint())

    assert list(finished.run()) == []
    assert finished.metrics == last


def test_diverging_run_ends_before_its_budget(dataset: Dataset) -> None:
    trial = make_trial(learning_rate=1e4, gradient_clip=1e9, warmup=0, budget=512 * 1000, evaluations=2)

    records = list(Trainer(trial, dataset).run())

    assert len(records) == 1
    assert records[0].diverged
    assert records[0].evaluation == 1
    assert records[0].step <= 41
    assert not records[0].usable


def test_loss_that_is_not_a_number_ends_the_run(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    run = trainer.run()
    before = next(run)
    with torch.no_grad():
        trainer.model.ln_f.weight.fill_(math.nan)

    after = list(run)

    assert [record.diverged for record in after] == [True]
    assert after[0].best_val_loss == before.best_val_loss


def test_checkpoint_of_another_trial_is_refused(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    next(trainer.run())

    with pytest.raises(ValueError, match=r"trained with learning_rate 0\.\d+, not 0.5"):
        Trainer(make_trial(learning_rate=0.5), dataset, resume=trainer.checkpoint())


def test_checkpoint_of_other_data_is_refused(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(), dataset)
    next(trainer.run())
    other = replace(dataset, fingerprint="0123456789abcdef")

    with pytest.raises(ValueError, match=rf"data {dataset.fingerprint}, .* holds 0123456789abcdef"):
        Trainer(make_trial(), other, resume=trainer.checkpoint())


def test_budget_too_short_for_its_evaluations_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="is 1 updates of 512 tokens"):
        Trainer(make_trial(budget=500), dataset)


def test_every_shape_sees_the_same_tokens(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    deal = Dataset.batch

    def note(self: Dataset, **arguments: int) -> tuple[np.ndarray, np.ndarray]:
        batch = deal(self, **arguments)
        seen.append(batch[0])
        return batch

    monkeypatch.setattr(Dataset, "batch", note)
    for width in (16, 32):
        next(Trainer(make_trial(width=width), dataset, device="cpu").run())

    assert len(seen) == 2 * 9  # the next one is already prepared
    assert all(np.array_equal(first, second) for first, second in zip(seen[:9], seen[9:], strict=True))


def test_bfloat16_trains(dataset: Dataset) -> None:
    trainer = Trainer(make_trial(dtype="bfloat16"), dataset)

    *_, last = trainer.run()

    assert trainer.precision == "bfloat16"
    assert last.val_loss < math.log(dataset.vocab_size)
    assert trainer.model.wte.weight.dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_follows_the_cpu(dataset: Dataset) -> None:
    trial = make_trial(dtype="float32")
    cpu, gpu = (list(Trainer(trial, dataset, device=device).run()) for device in ("cpu", "cuda"))

    assert [record.val_loss for record in gpu] == pytest.approx([record.val_loss for record in cpu], rel=1e-3)


def test_compiled_run_is_the_plain_one_within_rounding(dataset: Dataset) -> None:
    plain, compiled = (Trainer(make_trial(), dataset, compiled=compiled) for compiled in (False, True))

    expected, records = list(plain.run()), list(compiled.run())

    assert compiled._gradient.compiled
    assert [record.val_loss for record in records] == pytest.approx([record.val_loss for record in expected], rel=1e-4)
    assert [record.tokens for record in records] == [record.tokens for record in expected]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_resumed_compiled_run_is_the_uninterrupted_one_within_rounding(
    dataset: Dataset, tmp_path: Path, dropout: float
) -> None:
    trial = make_trial(dropout=dropout)
    expected = list(Trainer(trial, dataset, compiled=True).run())
    interrupted = Trainer(trial, dataset, compiled=True)
    next(interrupted.run())
    location = checkpoint.save(interrupted.checkpoint(), str(tmp_path))

    resumed = Trainer(trial, dataset, resume=checkpoint.load(location), compiled=True)

    losses = [record.val_loss for record in resumed.run()]
    assert resumed._gradient.compiled
    assert losses == pytest.approx([record.val_loss for record in expected[1:]], rel=1e-5)


def test_compiling_takes_no_time_of_the_budget(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock by which every update takes 1 s and compiling 100 s."""
    clock = 0.0

    def gradient(self: Step, inputs_BL: torch.Tensor, targets_BL: torch.Tensor, number: int) -> torch.Tensor:
        nonlocal clock
        clock += 1
        self.pending = not self.compiled
        return torch.tensor(1.0)

    def slow_compile(self: Step, inputs_BL: torch.Tensor, targets_BL: torch.Tensor) -> None:
        nonlocal clock
        clock += 100
        self.compiled, self.pending = True, False

    monkeypatch.setattr(Step, "__call__", gradient)
    monkeypatch.setattr(Step, "compile", slow_compile)
    evaluation = Evaluation(loss=1.0, se=0.1, bpb=1.0)
    monkeypatch.setattr(trainer_module, "evaluate", lambda *arguments, **options: evaluation)
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: clock)

    records = list(Trainer(make_trial(axis="seconds", budget=20, evaluations=2), dataset, compiled=True).run())

    assert clock == 120
    assert [(record.step, record.seconds) for record in records] == [(10, 10), (20, 20)]


def test_lack_of_memory_in_the_middle_of_a_run_changes_no_loss(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = list(Trainer(make_trial(), dataset).run())
    loss = GPTNeo.loss

    def limited(self: GPTNeo, inputs_BL: torch.Tensor, targets_BL: torch.Tensor, noise: None) -> torch.Tensor:
        if trainer.step >= 11 and len(inputs_BL) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(self, inputs_BL, targets_BL, noise)

    monkeypatch.setattr(GPTNeo, "loss", limited)
    trainer = Trainer(make_trial(), dataset)
    records = list(trainer.run())

    assert caplog.text.count("out of memory") == 2  # 16 sequences, 8, 4
    assert [(record.step, record.tokens) for record in records] == [(record.step, record.tokens) for record in expected]
    assert [record.val_loss for record in records] == pytest.approx([record.val_loss for record in expected], rel=1e-5)


def test_machine_that_cannot_compile_trains_without(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = list(Trainer(make_trial(), dataset, compiled=False).run())

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", fail)
    records = list(Trainer(make_trial(window=16), dataset, compiled=True).run())

    assert caplog.text.count("goes on without compiled code") == 1
    assert "no compiler" in caplog.text
    assert len(records) == len(expected)


def test_evaluation_that_runs_out_of_memory_takes_smaller_batches(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(Trainer(make_trial(), dataset).run())
    losses = GPTNeo.losses

    def limited(self: GPTNeo, inputs_BL: torch.Tensor, targets_BL: torch.Tensor) -> torch.Tensor:
        if len(inputs_BL) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, inputs_BL, targets_BL)

    monkeypatch.setattr(GPTNeo, "losses", limited)
    records = list(Trainer(make_trial(), dataset).run())

    assert [record.val_loss for record in records] == pytest.approx([record.val_loss for record in expected], rel=1e-5)


def test_trainer_that_is_let_go_is_gone_with_its_thread(dataset: Dataset) -> None:
    threads = threading.active_count()
    trainer = Trainer(make_trial(), dataset)
    trainer.update()
    model = weakref.ref(trainer.model)

    del trainer

    assert model() is None
    assert threading.active_count() == threads


def test_bfloat16_reaches_the_loss_of_float32(dataset: Dataset) -> None:
    """Within what seeds differ by; on real text: docs/throughput.md."""
    last = {
        (dtype, seed): list(Trainer(make_trial(dtype=dtype, seed=seed), dataset).run())[-1].val_loss
        for dtype in ("float32", "bfloat16")
        for seed in (0, 1, 2)
    }
    spread = max(last["float32", seed] for seed in (0, 1, 2)) - min(last["float32", seed] for seed in (0, 1, 2))

    assert all(abs(last["bfloat16", seed] - last["float32", seed]) < spread for seed in (0, 1, 2))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TensorFloat32")
@pytest.mark.parametrize("compiled", [False, True])
def test_updates_on_a_gpu_do_not_make_the_host_wait(dataset: Dataset, compiled: bool) -> None:
    trainer = Trainer(make_trial(width=64), dataset, device="cuda", compiled=compiled)
    for _ in range(3):
        trainer.update()

    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            trainer.update()
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert trainer.step == 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TensorFloat32")
def test_compiled_run_on_a_gpu_follows_the_cpu_and_gives_its_memory_back(dataset: Dataset) -> None:
    before = torch.cuda.memory_reserved()
    cpu = [record.val_loss for record in Trainer(make_trial(width=64), dataset, device="cpu").run()]
    trainer = Trainer(make_trial(width=64), dataset, device="cuda", compiled=True)
    gpu = [record.val_loss for record in trainer.run()]
    compiled = trainer._gradient.compiled

    del trainer
    give_memory_back()

    assert compiled
    assert gpu == pytest.approx(cpu, rel=1e-3)
    assert torch.cuda.memory_reserved() <= before + 4 * 2**20  # masks of the window stay
