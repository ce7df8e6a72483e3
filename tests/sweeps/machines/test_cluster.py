"""How many trials a cluster takes at a time, asked of a real Ray with two cores and one GPU."""

import pytest
import ray
import torch

from sweeps.machines import cluster

pytestmark = pytest.mark.usefixtures("ray_with_a_gpu")
NOTICE_SECONDS = 20
"""Far more than Ray takes to place what it has room for. [s]"""


def test_a_gpu_is_seen() -> None:
    assert cluster.has_gpus()


@pytest.mark.parametrize(
    ("cpus_per_trial", "trials_per_gpu", "slots", "share"),
    [
        (1, 0, 2, 0.0),  # trials stay on CPUs
        (2, 0, 1, 0.0),
        (1, 1, 1, 1.0),  # the only GPU is one trial's
        (1, 2, 2, 0.5),
        (2, 2, 1, 0.5),  # cores run out before the GPU does
        (1, 3, 2, 0.3333),
    ],
)
def test_cores_and_shares_of_the_gpu_both_limit_the_slots(
    cpus_per_trial: int, trials_per_gpu: int, slots: int, share: float
) -> None:
    assert cluster.slots(cpus_per_trial, trials_per_gpu) == (slots, share)


def test_no_more_slots_open_than_the_head_has_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head has 8 GiB; a slot's control processes all run there, wherever its trial trains."""
    monkeypatch.setattr(cluster, "SLOT_BYTES", 5 * 2**30)

    assert cluster.slots(1, 0) == (1, 0.0)


@pytest.mark.parametrize("trials_per_gpu", [3, 7])
def test_as_many_shares_as_asked_for_fit_into_one_gpu(trials_per_gpu: int) -> None:
    """Ray itself places them, where a share rounded up would wait for ever."""
    _, share = cluster.slots(1, trials_per_gpu)
    group = ray.util.placement_group([{"GPU": share}] * trials_per_gpu)

    assert group.wait(NOTICE_SECONDS)
    ray.util.remove_placement_group(group)


@pytest.mark.parametrize(
    ("trials_per_gpu", "message"),
    [(0, "^cpus_per_trial 3: no node"), (1, "^a GPU with cpus_per_trial 3: no node has that much; .*'GPU': 1.0")],
)
def test_a_trial_that_fits_nowhere_is_refused(trials_per_gpu: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cluster.slots(3, trials_per_gpu)


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch has a GPU here")
def test_a_gpu_that_only_ray_sees_is_said_in_one_line() -> None:
    with pytest.raises(
        ValueError, match=r"PyTorch cannot use a GPU .* --set trials_per_gpu=0 trains on CPUs"
    ) as caught:
        cluster.gpu_bytes()

    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_memory_of_a_gpu_is_what_pytorch_finds() -> None:
    assert cluster.gpu_bytes() == torch.cuda.get_device_properties(0).total_memory
