import logging

import pytest
import torch
from torch import Tensor

from tinystories import step as step_module
from tinystories.config import ModelConfig
from tinystories.models.model import GPTNeo
from tinystories.models.size import training_bytes
from tinystories.step import Step, largest_micro_batch

CONFIG = ModelConfig(depth=2, width=16, heads=2, vocab_size=50, context=24, window=8)
CPU = torch.device("cpu")
cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def make(*, batch_size: int = 8, compiles: bool = False, device: str = "cpu") -> tuple[Step, Tensor, Tensor]:
    torch.manual_seed(0)
    model = GPTNeo(CONFIG).to(device)
    tokens_BL = torch.randint(CONFIG.vocab_size, (batch_size, CONFIG.context + 1), device=device)
    return Step(model, batch_size=batch_size, compiles=compiles), tokens_BL[:, :-1], tokens_BL[:, 1:]


def gradients(step: Step) -> list[Tensor]:
    taken = [parameter.grad for parameter in step.model.parameters()]
    assert all(gradient is not None for gradient in taken)
    return [gradient.clone() for gradient in taken if gradient is not None]


def whole_batch(device: str = "cpu") -> tuple[Tensor, list[Tensor]]:
    step, inputs_BL, targets_BL = make(device=device)
    return step(inputs_BL, targets_BL), gradients(step)


def limit_memory(monkeypatch: pytest.MonkeyPatch, sequences: int, error: Exception) -> list[int]:
    """Let every loss but the first fail if it has more sequences than that; returns the sizes that were tried."""
    tried: list[int] = []
    loss = GPTNeo.loss

    def limited(self: GPTNeo, inputs_BL: Tensor, targets_BL: Tensor) -> Tensor:
        tried.append(len(inputs_BL))
        if len(tried) > 1 and len(inputs_BL) > sequences:
            raise error
        return loss(self, inputs_BL, targets_BL)

    monkeypatch.setattr(GPTNeo, "loss", limited)
    return tried


@pytest.mark.parametrize("micro_batch", [4, 2, 1])
def test_micro_batches_give_the_gradient_of_the_whole_batch(micro_batch: int) -> None:
    step, inputs_BL, targets_BL = make()
    step.micro_batch = micro_batch

    loss = step(inputs_BL, targets_BL)

    expected_loss, expected = whole_batch()
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


def test_compiled_gradient_is_the_plain_one_and_its_code_serves_training_and_evaluation() -> None:
    expected_loss, expected = whole_batch()
    step, inputs_BL, targets_BL = make(compiles=True)
    step(inputs_BL, targets_BL)
    assert step.pending
    step.clear()

    step.compile(inputs_BL, targets_BL)
    assert all(parameter.grad is None for parameter in step.model.parameters())
    with torch.compiler.set_stance("fail_on_recompile"):
        loss = step(inputs_BL, targets_BL)
        with torch.no_grad():
            evaluated = step.model.loss(inputs_BL, targets_BL)

    assert (step.compiled, step.pending) == (True, False)
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(evaluated, expected_loss)
    torch.testing.assert_close(gradients(step), expected, atol=1e-5, rtol=1e-4)


def test_machine_that_cannot_compile_goes_on_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected_loss, expected = whole_batch()
    step, inputs_BL, targets_BL = make(compiles=True)

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", fail)
    step.compile(inputs_BL, targets_BL)
    loss = step(inputs_BL, targets_BL)

    assert "no compiler" in caplog.text
    assert (step.compiled, step.pending) == (False, False)
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(gradients(step), expected)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=cuda)])
def test_captured_gradient_is_the_plain_one(device: str) -> None:
    expected_loss, expected = whole_batch(device)
    step, inputs_BL, targets_BL = make(compiles=True, device=device)
    step.micro_batch = 4
    step(inputs_BL, targets_BL)
    step.clear()
    step.compile(inputs_BL, targets_BL)

    for _ in range(2):  # a second replay must not add to the first one's gradient
        step.clear()
        loss = step(inputs_BL, targets_BL)

    torch.testing.assert_close(loss, expected_loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradients(step), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=cuda)])
def test_real_lack_of_memory_halves_the_micro_batch(device: str) -> None:
    """The gradient of the batch is the same in the third of the memory that it wants."""
    config = ModelConfig(depth=4, width=256, heads=4, vocab_size=4096, context=256)
    torch.manual_seed(0)
    model = GPTNeo(config).to(device)
    tokens_BL = torch.randint(config.vocab_size, (64, config.context + 1), device=device)
    free = Step(model, batch_size=64, compiles=False)
    expected = free(tokens_BL[:, :-1], tokens_BL[:, 1:])
    peak = torch.cuda.max_memory_allocated()
    free.clear()
    torch.cuda.empty_cache()

    torch.cuda.set_per_process_memory_fraction(peak / 3 / torch.cuda.get_device_properties(0).total_memory)
    try:
        tight = Step(model, batch_size=64, compiles=False)
        tight.micro_batch = 64
        loss = tight(tokens_BL[:, :-1], tokens_BL[:, 1:])
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert tight.micro_batch < 64
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)
