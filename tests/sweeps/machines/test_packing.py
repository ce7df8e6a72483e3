"""As many trials share a GPU as its memory holds of the largest, so that none of them has to split its batch."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.machines.packing import MOST, trials_per_gpu
from sweeps.spec import load
from sweeps.spec.schema import Spec
from tinystories.models.size import MEMORY_SHARE, PROCESS_BYTES, training_bytes

from ..examples import minimal

VOCAB_SIZE = 10_000
"""Vocabulary of the data of sweeps/paper.yaml. [token]"""
MEMORY = st.integers(2**30, 2**38)
"""From less than any GPU that trains has to more than any has: 1 to 256 GiB. [byte]"""


def sweep(*, depth: int, width: int, **trial: Any) -> Spec:
    parameters = {"depth": {"values": [1, depth]}, "width": {"values": [16, width]}, "heads": {"values": [2]}}
    trial = {"context": 512, "batch_size": 80, **({} if "seconds" in trial else {"tokens": "500M"}), **trial}
    return load.parse(minimal(parameters=parameters, trial=trial))


def packed(spec: Spec, gigabytes: float) -> int:
    return trials_per_gpu(spec, VOCAB_SIZE, int(gigabytes * 1e9))


PAPER = sweep(depth=12, width=1024)
"""The largest trial of sweeps/paper.yaml: 152M parameters but for its embeddings."""
HUGE = sweep(depth=100, width=8192)
"""80 billion parameters: far beyond any GPU."""


def test_small_trials_fill_a_large_gpu_up_to_the_most() -> None:
    assert packed(sweep(depth=2, width=64, batch_size=4), gigabytes=80) == MOST


def test_a_trial_larger_than_the_gpu_has_it_to_itself() -> None:
    assert packed(HUGE, gigabytes=80) == 1


@given(memory=st.tuples(MEMORY, MEMORY), spec=st.sampled_from([PAPER, HUGE, sweep(depth=4, width=256)]))
def test_more_memory_never_means_fewer_trials(memory: tuple[int, int], spec: Spec) -> None:
    fewer, more = (trials_per_gpu(spec, VOCAB_SIZE, size) for size in sorted(memory))

    assert 1 <= fewer <= more <= MOST


def test_more_memory_holds_more_trials() -> None:
    counts = [packed(PAPER, gigabytes=size) for size in (16, 80, 160, 320, 2000)]

    assert counts[0] == 1
    assert counts[-1] == MOST
    assert len(set(counts)) >= 4


@given(memory=MEMORY)
def test_the_share_of_a_trial_holds_its_whole_batch_and_one_more_would_not_fit(memory: int) -> None:
    count, largest = trials_per_gpu(PAPER, VOCAB_SIZE, memory), PAPER.largest_trial(VOCAB_SIZE)
    needed = training_bytes(largest.model(VOCAB_SIZE), largest.batch_size, bytes_per_number=2, device="cuda")

    if count > 1:
        assert needed + PROCESS_BYTES <= MEMORY_SHARE * memory / count
    if count < MOST:
        assert needed + PROCESS_BYTES > MEMORY_SHARE * memory / (count + 1)


@pytest.mark.parametrize("gigabytes", [16, 2000])
def test_trials_that_are_compared_by_seconds_do_not_share(gigabytes: float) -> None:
    assert packed(sweep(depth=2, width=64, seconds=60), gigabytes) == 1


def test_numbers_twice_as_long_leave_room_for_fewer_trials() -> None:
    short, long = (sweep(depth=12, width=1024, dtype=dtype) for dtype in ("bfloat16", "float32"))
    sizes = range(8, 400, 8)

    assert all(packed(long, size) <= packed(short, size) for size in sizes)
    assert any(packed(long, size) < packed(short, size) for size in sizes)
