"""The loss and the gradient of one update, in micro-batches that fit into memory, compiled or not.

Shapes: B sequences in a batch, M in a micro-batch, L tokens in a sequence.
"""

import logging
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from tinystories import compiling
from tinystories.config import ModelConfig, divisors
from tinystories.device import give_memory_back, is_out_of_memory, memory_bytes
from tinystories.models.dropout import Noise, noise
from tinystories.models.model import GPTNeo
from tinystories.models.size import training_bytes

logger = logging.getLogger(__name__)
Gradient = Callable[[Tensor, Tensor, Noise | None], Tensor]


class Step:
    """Adds the gradient of a batch to `.grad` of the model's parameters, a micro-batch at a time.

    Starts with the largest micro-batch that should fit, and takes smaller ones when memory runs out after all; the
    gradient stays the mean over the batch.

    Args:
        batch_size: sequences in a batch; micro-batches divide it.
        seed: of the noise that dropout is drawn from.
        compiles: whether `pending` may call for compiled code.
    """

    def __init__(self, model: GPTNeo, *, batch_size: int, seed: int = 0, compiles: bool) -> None:
        self.model = model
        self.batch_size = batch_size
        self.micro_batch = largest_micro_batch(model.config, batch_size, dtype=model.dtype, device=_device(model))
        self.compiled = False
        self.pending = False
        """Whether `compile_if_possible` should be called next: a batch has shown that this micro-batch fits."""
        self._seed = seed
        self._compiles = compiles
        self._captured: _CapturedGradient | None = None

    def __call__(self, inputs_BL: Tensor, targets_BL: Tensor, number: int = 0) -> Tensor:
        """Mean loss of the batch, left on the device. [nat/token]

        Args:
            number: of the update; with the seed it says what dropout drops.

        Raises:
            Exception: memory runs out with a single sequence; what torch or Python raise then.
        """
        while (loss := self._try(inputs_BL, targets_BL, number)) is None:
            self.shrink()
        self.pending = self._compiles and not self.compiled
        return loss

    def clear(self) -> None:
        """Make the gradient zero, for the next update."""
        # A captured graph adds to the very tensors that it was captured with.
        self.model.zero_grad(set_to_none=self._captured is None)

    def compile_if_possible(self, inputs_BL: Tensor, targets_BL: Tensor, *, shared: str | None = None) -> None:
        """Compile for batches like this one, with code that is kept on disk; shrink instead if memory runs out.

        A machine that cannot compile stays with uncompiled code, and its log says why.

        Args:
            shared: folder or URI through which machines share compiled code.

        Raises:
            Exception: the GPU does not answer any more.
        """
        code = compiling.name(self.model.config, self.micro_batch, self.model.dtype)
        out_of_memory = False
        try:
            with compiling.kept(code, device=inputs_BL.device, shared=shared):
                self.compile(inputs_BL, targets_BL)
        except Exception as error:
            if inputs_BL.is_cuda:
                torch.cuda.synchronize()  # raises, if the GPU does not answer any more
            out_of_memory = is_out_of_memory(error) and self.micro_batch > 1
            if not out_of_memory:
                logger.warning("goes on without compiled code", exc_info=True)
                self._compiles = self.pending = False
        if out_of_memory:  # outside of the handler, whose exception holds on to the tensors that are to go
            self.shrink()

    def compile(self, inputs_BL: Tensor, targets_BL: Tensor) -> None:
        """Compute batches like this one by compiled code from now on, on a GPU as one graph of kernels.

        Makes the code for training and for evaluation, and leaves the gradient zero.

        Raises:
            Exception: this machine cannot compile, or memory runs out; nothing has changed then.
        """
        inputs_ML, targets_ML = inputs_BL[: self.micro_batch], targets_BL[: self.micro_batch]
        self.pending = False
        try:
            self.model.compile_regions((self.micro_batch, inputs_BL.shape[1]))
            self.model.losses(inputs_ML, targets_ML)
            self._eager(inputs_ML, targets_ML, self._noise(0, 0))
            if inputs_ML.is_cuda:
                self._captured = _CapturedGradient(self._eager, inputs_ML, targets_ML, self._noise(0, 0))
            self.compiled = True
        except BaseException:
            self._uncompile()
            raise
        finally:
            self.clear()

    def shrink(self) -> None:
        """Take half the micro-batch, or the next size below that divides the batch; the gradient is zero then."""
        before = self.micro_batch
        self.micro_batch = max(size for size in divisors(self.batch_size) if size <= before / 2)
        self._uncompile()
        self.clear()
        give_memory_back()
        logger.warning("out of memory: micro-batches of %d sequences instead of %d", self.micro_batch, before)

    def _try(self, inputs_BL: Tensor, targets_BL: Tensor, number: int) -> Tensor | None:
        """The loss; None when memory ran out and smaller micro-batches are left to try."""
        gradient = self._captured or self._eager
        total = torch.zeros((), device=inputs_BL.device)
        micro_batches = zip(inputs_BL.split(self.micro_batch), targets_BL.split(self.micro_batch), strict=True)
        try:
            for micro_batch, (inputs_ML, targets_ML) in enumerate(micro_batches):
                total += gradient(inputs_ML, targets_ML, self._noise(number, micro_batch * self.micro_batch))
        except Exception as error:
            if not is_out_of_memory(error) or self.micro_batch == 1:
                raise
            return None
        return total

    def _noise(self, number: int, first: int) -> Noise | None:
        """Of the update and the micro-batch that begins with this sequence; None: the model drops nothing."""
        if not self.model.config.dropout:
            return None
        return noise(self._seed, number, first, _device(self.model))

    def _eager(self, inputs_ML: Tensor, targets_ML: Tensor, noise: Noise | None) -> Tensor:
        """A micro-batch's share of the mean loss; its gradient is added."""
        loss = self.model.loss(inputs_ML, targets_ML, noise) * (self.micro_batch / self.batch_size)
        loss.backward()
        return loss.detach()

    def _uncompile(self) -> None:
        self.model.drop_regions()
        self._captured, self.compiled = None, False


class _CapturedGradient:
    """The same gradient as one CUDA graph, which the host starts with a single call.

    Source: "Whole-network capture" in PyTorch's notes on CUDA semantics.
    """

    def __init__(self, gradient: Gradient, inputs_ML: Tensor, targets_ML: Tensor, noise: Noise | None) -> None:
        self._inputs_ML, self._targets_ML, self._noise = inputs_ML.clone(), targets_ML.clone(), noise
        side = _side_stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                gradient(self._inputs_ML, self._targets_ML, self._noise)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        # The thread that prepares batches may allocate pinned memory meanwhile, which no graph could hold.
        with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
            self._loss = gradient(self._inputs_ML, self._targets_ML, self._noise)

    def __call__(self, inputs_ML: Tensor, targets_ML: Tensor, noise: Noise | None) -> Tensor:
        """The loss, in a tensor that the next call overwrites."""
        self._inputs_ML.copy_(inputs_ML, non_blocking=True)
        self._targets_ML.copy_(targets_ML, non_blocking=True)
        for ours, theirs in zip(self._noise or (), noise or (), strict=True):
            ours.copy_(theirs, non_blocking=True)
        self._graph.replay()
        return self._loss


@cache
def _side_stream() -> torch.cuda.Stream:
    """Where graphs are captured: one stream for all, as each takes memory of its own for matrix products."""
    return torch.cuda.Stream()


def largest_micro_batch(config: ModelConfig, batch_size: int, *, dtype: torch.dtype, device: torch.device) -> int:
    """The largest divisor of the batch size whose training should fit into memory; 1 if even that should not.

    Args:
        batch_size: sequences in an update.
    """
    room = memory_bytes(device)

    def fits(sequences: int) -> bool:
        needed = training_bytes(config, sequences, bytes_per_number=dtype.itemsize, device=device.type)
        return needed <= room

    return max(filter(fits, divisors(batch_size)), default=1)


def _device(model: GPTNeo) -> torch.device:
    return model.wte.weight.device
