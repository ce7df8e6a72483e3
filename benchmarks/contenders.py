"""One contender of throughput.py in a process of its own: `python benchmarks/contenders.py JOB`, JOB as JSON.

Each imports what it needs by itself, as its start-up is measured too.
"""

import contextlib
import json
import logging
import resource
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import random_tokens
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from turns import Job, paced, say

LEARNING_RATE = 3e-4
GRADIENT_CLIP = 1.0
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}
"""Side of the square matrices whose product is the machine's peak."""
PEAK_RUNS = 9


def ours(job: Job) -> None:
    """This project's Trainer; compiled, its second step compiles."""
    from tinystories.config import TrialConfig
    from tinystories.trainer import Trainer

    logging.getLogger("tinystories").addHandler(_Refusal())
    config = TrialConfig(
        depth=job.depth,
        width=job.width,
        heads=job.heads,
        context=job.context,
        batch_size=job.batch_size,
        budget=1e12,
        evaluations=1,
    )
    trainer = Trainer(
        config, random_tokens.read(Path(job.tokens), job.vocab_size), device=job.device, compiled=job.compiled
    )
    for _ in _pace(job, dtype=trainer.precision, settling=2 if job.compiled else 0):
        trainer.update()


class _Refusal(logging.Handler):
    """Ends a process whose training goes another way than it was told, such as without compiled code."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(record.getMessage())


def transformers(job: Job) -> None:
    """The Trainer of transformers, with its defaults, on a GPT-Neo of the same shape."""
    from transformers import Trainer, TrainerCallback

    pace = _pace(job, dtype=job.dtype, settling=1 if job.compiled else 0)

    class Pacer(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            control.should_training_stop = next(pace, "end") == "end"

    with tempfile.TemporaryDirectory() as folder:
        arguments, sequences = _training_arguments(job, folder), _Sequences(job)
        trainer = Trainer(model=_gpt_neo(job), args=arguments, train_dataset=sequences, callbacks=[Pacer()])
        next(pace)
        trainer.train()


def _gpt_neo(job: Job) -> nn.Module:
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    config = GPTNeoConfig(
        vocab_size=job.vocab_size,
        max_position_embeddings=job.context,
        hidden_size=job.width,
        num_layers=job.depth,
        attention_types=[[[("global", "local")[layer % 2]], 1] for layer in range(job.depth)],
        num_heads=job.heads,
        window_size=job.context,
        bos_token_id=0,
        eos_token_id=0,
    )
    model: nn.Module = GPTNeoForCausalLM(config)
    return model


def _training_arguments(job: Job, folder: str) -> Any:
    """Defaults, but for what the job says, and silence."""
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=folder,
        max_steps=10**9,
        per_device_train_batch_size=job.batch_size,
        max_grad_norm=GRADIENT_CLIP,
        bf16=job.dtype == "bfloat16",
        torch_compile=job.compiled,
        use_cpu=job.device == "cpu",
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


class _Sequences(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The tokens in sequences of the context's length, as transformers takes them."""

    def __init__(self, job: Job) -> None:
        tokens = np.memmap(job.tokens, dtype=np.uint16, mode="r")
        self._tokens = tokens[: len(tokens) // job.context * job.context].reshape(-1, job.context)

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        tokens_L = torch.from_numpy(self._tokens[index].astype(np.int64))
        return {"input_ids": tokens_L, "labels": tokens_L}


def gpt2(job: Job) -> None:
    """GPT-2 of the same shape, trained as nanoGPT does."""
    from gpt2 import GPT2

    model = GPT2(
        depth=job.depth, width=job.width, heads=job.heads, vocab_size=_padded(job.vocab_size), context=job.context
    )
    _train(model, job)


def litgpt(job: Job) -> None:
    """LitGPT's GPT of the same shape, in the style of GPT-NeoX, trained likewise; only where litgpt is installed."""
    from litgpt import GPT, Config  # type: ignore[import-not-found, unused-ignore]

    config = Config(
        n_layer=job.depth,
        n_embd=job.width,
        n_head=job.heads,
        vocab_size=job.vocab_size,
        padded_vocab_size=_padded(job.vocab_size),
        block_size=job.context,
    )
    _train(GPT(config), job)


def peak(job: Job) -> None:
    """No contender: says what the machine is, and at every turn how many FLOP/s its fastest matrix product reaches.

    In float32, and in bfloat16 where the machine has instructions for it; elsewhere that is many times slower.
    """
    from tinystories.device import precision

    if job.device == "cuda" and not torch.cuda.is_available():
        sys.exit("device 'cuda' is not here; allowed: cpu")
    device = torch.device(job.device)
    fastest = precision("auto", device)
    say(name=_machine(job), bfloat16=fastest == torch.bfloat16)
    for _ in sys.stdin:
        say(flops_per_second=max(_product_speed(dtype, device) for dtype in {torch.float32, fastest}))


def _machine(job: Job) -> str:
    if job.device == "cuda":
        return torch.cuda.get_device_name()
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {job.threads} threads"


def _product_speed(dtype: torch.dtype, device: torch.device) -> float:
    """Speed of a large matrix product, the median of several after one that does not count. [FLOP/s]"""
    side = PEAK_SIDE[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(PEAK_RUNS + 1):
        started = time.perf_counter()
        left @ right
        _synchronize(device.type)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / statistics.median(seconds[1:])


def _train(model: nn.Module, job: Job) -> None:
    """The step of a good script: forward pass and loss compiled together, autocast, fused AdamW."""
    torch.set_float32_matmul_precision("high")
    model.to(job.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    loss_of = torch.compile(_loss) if job.compiled else _loss
    batches = _batches(job)
    for _ in _pace(job, dtype=job.dtype, settling=1 if job.compiled else 0):
        inputs_BL, targets_BL = next(batches)
        with torch.autocast(job.device, dtype=torch.bfloat16, enabled=job.dtype == "bfloat16"):
            loss = loss_of(model, inputs_BL, targets_BL)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()


def _loss(model: nn.Module, inputs_BL: Tensor, targets_BL: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs_BL).flatten(0, 1), targets_BL.flatten())


def _batches(job: Job) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows at random places, as nanoGPT draws them: inputs_BL, targets_BL."""
    tokens = np.memmap(job.tokens, dtype=np.uint16, mode="r")
    while True:
        starts_B = torch.randint(len(tokens) - job.context, (job.batch_size,)).tolist()
        windows = np.stack([tokens[start : start + job.context + 1] for start in starts_B]).astype(np.int64)
        tokens_BL = torch.from_numpy(windows)
        if job.device == "cuda":
            tokens_BL = tokens_BL.pin_memory().to(job.device, non_blocking=True)
        yield tokens_BL[:, :-1], tokens_BL[:, 1:]


def _padded(vocab_size: int) -> int:
    """The next multiple of 64, for which matrix products are faster; nanoGPT does so."""
    return -(-vocab_size // 64) * 64


def _pace(job: Job, *, dtype: str, settling: int) -> Iterator[None]:
    return paced(
        job,
        dtype=dtype,
        settling=settling,
        synchronize=lambda: _synchronize(job.device),
        peak_memory=lambda: _peak_memory(job.device),
    )


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak_memory(device: str) -> int:
    """Most memory held since the start; on a CPU with Python, libraries and compilers in it. [byte]"""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Do the job; the last line on stderr says what went wrong."""
    job = Job(**json.loads(sys.argv[1]))
    torch.set_num_threads(job.threads)
    contenders = {function.__name__: function for function in (ours, transformers, gpt2, litgpt, peak)}
    try:
        with contextlib.redirect_stdout(sys.stderr):
            contenders[job.contender](job)
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main()
