import logging
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tinystories import step as step_module
from tinystories.config import ModelConfig
from tinystories.device import give_memory_back
from tinystories.models.dropout import Noise, noise
from tinystories.models.model import GPTNeo
from tinystories.models.size import parameters, training_bytes
from tinystories.step import Step, largest_micro_batch

CONFIG = ModelConfig(depth=2, width=16, heads=2, vocab_size=50, context=24, window=8)
CPU = torch.device("cpu")


def make(*, batch_size: int = 8, compiles: bool = False, dropout: float = 0.0) -> tuple[Step, Tensor, Tensor]:
    torch.manual_seed(0)
    model = GPTNeo(replace(CONFIG, dropout=dropout))
    tokens_BL = torch.randint(CONFIG.vocab_size, (batch_size, CONFIG.context + 1))
    return Step(model, batch_size=batch_size, compiles=compiles), tokens_BL[:, :-1], tokens_BL[:, 1:]


def gradients(step: Step) -> list[Tensor]:
    taken = [parameter.grad for parameter in step.model.parameters()]
    assert all(gradient is not None for gradient in taken)
    return [gradient.clone() for gradient in taken if gradient is not None]


def whole_batch(*, dropout: float = 0.0) -> tuple[Tensor, list[Tensor]]:
    step, inputs_BL, targets_BL = make(dropout=dropout)
    return step(inputs_BL, targets_BL), gradients(step)


def limit_memory(monkeypatch: pytest.MonkeyPatch, sequences: int, error: Exception) -> list[int]:
    """Let every loss but the first fail if it has more sequences than that; returns the sizes that were tried."""
    tried: list[int] = []
    loss = GPTNeo.loss

    def limited(self: GPTNeo, inputs_BL: Tensor, targets_BL: Tensor, noise: Noise | None) -> Tensor:
        tried.append(len(inputs_BL))
        if len(tried) > 1 and len(inputs_BL) > sequences:
            raise error
        return loss(self, inputs_BL, targets_BL, noise)

    monkeypatch.setattr(GPTNeo, "loss", limited)
    return tried


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("micro_batch", [4, 2, 1])
def test_micro_batches_give_the_gradient_of_the_whole_batch(micro_batch: int, dropout: float) -> None:
    step, inputs_BL, targets_BL = make(dropout=dropout)
    step.micro_batch = micro_batch

    loss = step(inputs_BL, targets_BL)

    expected_loss, expected = whole_batch(dropout=dropout)
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(gradients(step), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_when_memory_runs_out_the_same_batch_is_done_in_halves(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected_loss, expected = whole_batch()
    step, inputs_BL, targets_BL = make()
    step.micro_batch = 4
    tried = limit_memory(monkeypatch, 2, error)

    with caplog.at_level(logging.WARNING):
        loss = step(inputs_BL, targets_BL)

    assert tried == [4, 4, 2, 2, 2, 2]  # the second half of the batch fails, and both begin again
    assert step.micro_batch == 2
    assert "micro-batches of 2 sequences instead of 4" in caplog.text
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(gradients(step), expected, atol=1e-6, rtol=1e-4)


def test_odd_batches_shrink_to_what_divides_them(monkeypatch: pytest.MonkeyPatch) -> None:
    step, inputs_BL, targets_BL = make(batch_size=15)
    step.micro_batch = 5
    tried = limit_memory(monkeypatch, 2, torch.OutOfMemoryError())

    step(inputs_BL, targets_BL)

    assert tried == [5, 5, 1] + [1] * 14


def test_single_sequence_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    step, inputs_BL, targets_BL = make()
    limit_memory(monkeypatch, 0, torch.OutOfMemoryError("CUDA out of memory"))
    step.micro_batch = 2

    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        step(inputs_BL, targets_BL)


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    step, inputs_BL, targets_BL = make()
    limit_memory(monkeypatch, 0, RuntimeError("shapes do not match"))
    step.micro_batch = 4

    with pytest.raises(RuntimeError, match="shapes do not match"):
        step(inputs_BL, targets_BL)

    assert step.micro_batch == 4


def test_first_micro_batch_is_the_largest_that_should_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = training_bytes(CONFIG, 5, bytes_per_number=4, device="cpu")
    chosen = []
    for room in (needed - 1, needed, 1):
        monkeypatch.setattr(step_module, "memory_bytes", lambda device, room=room: room)
        chosen.append(largest_micro_batch(CONFIG, 15, dtype=torch.float32, device=CPU))

    assert chosen == [3, 5, 1]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_compiled_gradient_is_the_plain_one_and_its_code_serves_training_and_evaluation(dropout: float) -> None:
    expected_loss, expected = whole_batch(dropout=dropout)
    step, inputs_BL, targets_BL = make(compiles=True, dropout=dropout)
    step(inputs_BL, targets_BL)
    assert step.pending
    step.clear()

    step.compile(inputs_BL, targets_BL)
    assert all(parameter.grad is None for parameter in step.model.parameters())
    with torch.compiler.set_stance("fail_on_recompile"):
        loss = step(inputs_BL, targets_BL)
        evaluated = step.model.losses(inputs_BL, targets_BL).mean()

    assert (step.compiled, step.pending) == (True, False)
    torch.testing.assert_close(loss, expected_loss)
    assert dropout or torch.isclose(evaluated, expected_loss)
    torch.testing.assert_close(gradients(step), expected, atol=1e-5, rtol=1e-4)


def test_failed_compiling_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected_loss, expected = whole_batch()
    step, inputs_BL, targets_BL = make(compiles=True)

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(RuntimeError, match="no compiler"):
        step.compile(inputs_BL, targets_BL)
    loss = step(inputs_BL, targets_BL)

    assert not step.compiled
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(gradients(step), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TensorFloat32")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_captured_gradient_is_the_plain_one(dtype: torch.dtype, dropout: float) -> None:
    """Flex attention in the local layers, a compiled head, two micro-batches; float32 on the CPU is the measure."""
    config = ModelConfig(depth=2, width=64, heads=2, vocab_size=512, context=256, window=64, dropout=dropout)
    torch.manual_seed(0)
    plain = GPTNeo(config)
    tokens_BL = torch.randint(config.vocab_size, (8, config.context + 1))
    inputs_BL, targets_BL = tokens_BL[:, :-1], tokens_BL[:, 1:]
    expected_loss = plain.loss(inputs_BL, targets_BL, noise(0, 0, 0, CPU) if dropout else None)
    expected_loss.backward()
    model = GPTNeo(config, dtype=dtype)
    model.load_state_dict(plain.state_dict())
    step = Step(model.to("cuda"), batch_size=8, compiles=True)
    step.micro_batch = 4
    inputs_BL, targets_BL = inputs_BL.cuda(), targets_BL.cuda()
    step(inputs_BL, targets_BL)
    step.clear()

    step.compile(inputs_BL, targets_BL)
    assert step._captured is not None
    for _ in range(2):  # a second replay must not add to the first one's gradient
        step.clear()
        loss = step(inputs_BL, targets_BL)

    tolerance = 1e-3 if dtype == torch.float32 else 3e-2
    assert loss.item() == pytest.approx(expected_loss.item(), rel=tolerance)
    for gradient, parameter in zip(gradients(step), plain.parameters(), strict=True):
        assert parameter.grad is not None
        assert (gradient.cpu() - parameter.grad).norm() < tolerance * parameter.grad.norm()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_real_lack_of_memory_halves_the_micro_batch() -> None:
    """The gradient of the batch is the same in a third of the memory that it wants; and the estimate holds."""
    config = ModelConfig(depth=4, width=256, heads=4, vocab_size=4096, context=256)
    torch.manual_seed(0)
    model = GPTNeo(config).to("cuda")
    tokens_BL = torch.randint(config.vocab_size, (64, config.context + 1), device="cuda")
    free = Step(model, batch_size=64, compiles=False)
    torch.cuda.reset_peak_memory_stats()
    expected_loss = free(tokens_BL[:, :-1], tokens_BL[:, 1:])
    expected = [gradient.cpu() for gradient in gradients(free)]
    peak = torch.cuda.max_memory_allocated()
    free.clear()
    give_memory_back()

    torch.cuda.set_per_process_memory_fraction(peak / 3 / torch.cuda.get_device_properties(0).total_memory)
    try:
        tight = Step(model, batch_size=64, compiles=False)
        tight.micro_batch = 64
        loss = tight(tokens_BL[:, :-1], tokens_BL[:, 1:])
        found = [gradient.cpu() for gradient in gradients(tight)]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert tight.micro_batch < 64
    torch.testing.assert_close(loss, expected_loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-2)
    estimate = training_bytes(config, 64, bytes_per_number=4, device="cuda") - 8 * parameters(config)  # no moments yet
    assert 0.9 < estimate / peak < 1.3
