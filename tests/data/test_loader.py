import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tinystories.data.dataset import Tokens
from tinystories.data.loader import ahead

CPU = torch.device("cpu")


def numbered(count: int) -> list[tuple[Tokens, Tokens]]:
    return [(np.full((2, 3), number), np.full((2, 3), number + 1)) for number in range(count)]


def test_batches_come_in_order_as_tensors() -> None:
    loaded = list(ahead(numbered(3), CPU))

    assert [(inputs_BL[0, 0].item(), targets_BL[0, 0].item()) for inputs_BL, targets_BL in loaded] == [
        (0, 1),
        (1, 2),
        (2, 3),
    ]
    assert loaded[0][0].shape == (2, 3)
    assert loaded[0][0].dtype == torch.int64


def test_tensors_are_contiguous_even_where_arrays_are_not() -> None:
    """A GPU fetches others only with the host waiting."""
    tokens_BL = np.arange(12).reshape(2, 6)

    ((inputs_BL, targets_BL),) = ahead([(tokens_BL[:, :-1], tokens_BL[:, 1:])], CPU)

    assert inputs_BL.is_contiguous()
    assert targets_BL.is_contiguous()
    assert targets_BL[1].tolist() == [7, 8, 9, 10, 11]


def test_next_batch_is_prepared_while_one_is_worked_on() -> None:
    begun = threading.Event()

    def source() -> Iterator[tuple[Tokens, Tokens]]:
        first, second = numbered(2)
        yield first
        begun.set()
        yield second

    batches = ahead(source(), CPU)
    next(batches)

    assert begun.wait(timeout=10), "nobody asked for the second batch"
    assert next(batches)[0][0, 0].item() == 1


def test_error_of_the_source_reaches_the_caller() -> None:
    def source() -> Iterator[tuple[Tokens, Tokens]]:
        yield from numbered(1)
        raise ValueError("context 9 is too long")

    batches = ahead(source(), CPU)
    next(batches)

    with pytest.raises(ValueError, match="context 9 is too long"):
        next(batches)


def test_thread_ends_with_the_batches() -> None:
    before = threading.active_count()
    batches = ahead(numbered(5), CPU)
    next(batches)
    during = threading.active_count()

    batches.close()  # type: ignore[attr-defined]

    assert (during, threading.active_count()) == (before + 1, before)
