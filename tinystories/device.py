"""The machine that a trial runs on: its device, what that multiplies fast, and its memory."""

import ctypes
import gc
import hashlib
import os
import sys

import torch

from tinystories.models.size import MEMORY_SHARE, PROCESS_BYTES


def choose(name: str) -> torch.device:
    """The device of this name; auto takes the GPU when there is one.

    Raises:
        ValueError: there is no such device.
    """
    here = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if name == "auto":
        return torch.device(here[-1])
    if name not in here:
        raise ValueError(f"device {name!r} is not here; allowed: auto, {', '.join(here)}")
    return torch.device(name)


def precision(dtype: str, device: torch.device) -> torch.dtype:
    """Precision of the matrix products; auto: bfloat16 where the device has instructions for it, float32 elsewhere.

    A CPU without them is ten times slower in bfloat16 than in float32 (docs/throughput.md).
    """
    if dtype == "auto":
        dtype = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = torch.cpu.get_capabilities()
    return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def signature(device: torch.device) -> str:
    """Names machines that can run each other's compiled code: same PyTorch, same GPU or instructions of the CPU."""
    kind = torch.cuda.get_device_properties(device).name if device.type == "cuda" else torch.cpu.get_capabilities()
    python = f"{sys.platform} {sys.version_info.major}.{sys.version_info.minor}"
    return hashlib.sha256(f"{torch.__version__} {python} {kind}".encode()).hexdigest()[:16]


def memory_bytes(device: torch.device) -> int:
    """Memory that a trial may plan with. [byte]

    On a GPU this process's fraction of it (`torch.cuda.set_per_process_memory_fraction`), on a CPU the machine's
    memory by this process's share of the cores.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        share = torch.cuda.get_per_process_memory_fraction(torch.cuda.current_device())
        return int(MEMORY_SHARE * total * share) - PROCESS_BYTES
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(MEMORY_SHARE * total * min(1, torch.get_num_threads() / (os.cpu_count() or 1)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is why torch or Python gave up; libraries below torch say so in words alone."""
    said = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in said)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next allocation, until `give_memory_back`; elsewhere nothing changes.

    By default it hands every large tensor back to the kernel, which must clear the pages for the next one: a tenth
    of a training step on a CPU (docs/throughput.md). The numbers are M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD and
    M_ARENA_MAX of mallopt(3).
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28), (-8, 1)):
            mallopt(parameter, value)


def give_memory_back() -> None:
    """Return to the system, and so to other processes, all memory that nothing uses any more."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_initialized():
        torch._C._cuda_clearCublasWorkspaces()  # one for every stream that a graph was captured on
        torch.cuda.empty_cache()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
