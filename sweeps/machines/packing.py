"""How many trials share one GPU: as many as its memory holds of the sweep's largest."""

from sweeps.spec.schema import Spec
from tinystories.models.size import MEMORY_SHARE, PROCESS_BYTES, training_bytes

MOST = 8
"""Trials on one GPU beyond which its processes would mostly wait for each other. Expected, not measured yet."""


def trials_per_gpu(spec: Spec, vocab_size: int, gpu_bytes: int) -> int:
    """What `trials_per_gpu: auto` means for this sweep: 1 to `MOST`.

    The largest trial should fit with its whole batch; if one is larger still, it takes micro-batches. Trials that
    are compared by seconds have a GPU to themselves.

    Args:
        vocab_size: of the data. [token]
        gpu_bytes: memory of the smallest GPU. [byte]
    """
    trial = spec.largest_trial(vocab_size)
    if trial.axis == "seconds":
        return 1
    bytes_per_number = 4 if trial.dtype == "float32" else 2
    needed = PROCESS_BYTES + training_bytes(
        trial.model(vocab_size),
        trial.batch_size,
        bytes_per_number=bytes_per_number,
        device="cuda",
    )
    return max(1, min(MOST, int(MEMORY_SHARE * gpu_bytes / needed)))
