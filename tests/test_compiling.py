import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tinystories import compiling
from tinystories.config import ModelConfig, TrialConfig

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CONFIG = ModelConfig(depth=2, width=16, heads=2, vocab_size=50, context=24)
TRIAL = TrialConfig(depth=4, width=128, heads=4, budget=1e6)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "here"))
    return tmp_path / "here"


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_trials_are_compiled_and_short_ones_are_not(device: torch.device, dtype: torch.dtype) -> None:
    budgets = [10.0**exponent for exponent in range(5, 13)]

    answers = [compiling.pays(replace(TRIAL, budget=budget), 4096, dtype=dtype, device=device) for budget in budgets]

    assert answers == sorted(answers)
    assert (answers[0], answers[-1]) == (False, True)


def test_a_budget_of_seconds_is_compared_with_the_seconds_that_compiling_takes() -> None:
    price = compiling.PRICES["cpu", torch.float32]
    enough = compiling.PAYBACK * price.seconds / price.saved

    answers = [
        compiling.pays(replace(TRIAL, axis="seconds", budget=budget), 4096, dtype=torch.float32, device=CPU)
        for budget in (0.9 * enough, 1.1 * enough)
    ]

    assert answers == [False, True]


def test_depth_does_not_name_code_but_all_else_does() -> None:
    def named(micro_batch: int = 8, dtype: torch.dtype = torch.float32, **changes: int) -> str:
        return compiling.name(replace(CONFIG, **changes), micro_batch, dtype)

    others = [
        *(named(depth=1), named(width=32), named(heads=4), named(vocab_size=51), named(context=32), named(window=8)),
        *(named(micro_batch=4), named(dtype=torch.bfloat16)),
    ]

    assert named(depth=2) == named(depth=7)
    assert len({named(), *others}) == 9


def test_code_of_one_machine_is_unpacked_on_another_of_its_kind(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = str(tmp_path / "shared")
    with compiling.kept("code", device=CPU, shared=shared):
        (cache / "ab").mkdir(parents=True)
        (cache / "ab" / "kernel.so").write_bytes(b"machine code")

    there = tmp_path / "there"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(there))
    with compiling.kept("code", device=CPU, shared=shared):
        assert (there / "ab" / "kernel.so").read_bytes() == b"machine code"

    assert len(list((tmp_path / "shared").iterdir())) == 1
    assert not [path for path in there.iterdir() if path.name.endswith(".lock") or path.name.startswith("tmp")]


def test_machine_of_another_kind_makes_its_own(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = str(tmp_path / "shared")
    with compiling.kept("code", device=CPU, shared=shared):
        cache.mkdir(exist_ok=True)
        (cache / "kernel.so").write_bytes(b"machine code")

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "there"))
    monkeypatch.setattr(compiling, "signature", lambda device: "another")
    with compiling.kept("code", device=CPU, shared=shared):
        assert not (tmp_path / "there" / "kernel.so").exists()

    assert len(list((tmp_path / "shared").iterdir())) == 2


@pytest.mark.usefixtures("cache")
def test_failed_compiling_is_neither_shared_nor_taken_for_done(tmp_path: Path) -> None:
    shared = str(tmp_path / "shared")
    with pytest.raises(ValueError, match="no"), compiling.kept("code", device=CPU, shared=shared):
        raise ValueError("no")

    assert not (tmp_path / "shared").exists()
    assert not (tmp_path / "here" / "code.done").exists()


MEASURE = """
import sys, torch
from tinystories import compiling
from tinystories.config import ModelConfig
from tinystories.models.model import GPTNeo
from tinystories.step import Step
from torch._dynamo.utils import counters
depth, shared = int(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
model = GPTNeo(ModelConfig(depth=depth, width=16, heads=2, vocab_size=50, context=24, window=8))
tokens = torch.randint(50, (4, 25))
step = Step(model, batch_size=4, compiles=True)
with compiling.kept(compiling.name(model.config, 4, model.dtype), device=torch.device("cpu"), shared=shared):
    step.compile(tokens[:, :-1], tokens[:, 1:])
assert step.compiled
print(counters["aot_autograd"]["autograd_cache_miss"], counters["aot_autograd"]["autograd_cache_hit"])
"""


@pytest.mark.slow
def test_compiled_code_is_found_again_in_another_process_at_another_depth_and_on_another_machine(
    tmp_path: Path,
) -> None:
    def compile_in(cache: str, depth: int) -> tuple[int, int, float]:
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / cache)}
        command = [sys.executable, "-c", MEASURE, str(depth), str(tmp_path / "shared")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        misses, hits = map(int, done.stdout.split())
        made = [path.stat().st_mtime for path in (tmp_path / cache).rglob("*.so")]
        return misses, hits, max(made)

    first = compile_in("here", 2)
    deeper = compile_in("here", 4)
    elsewhere = compile_in("there", 2)

    assert first[0] > 0 == first[1]
    assert deeper[0] == 0 < deeper[1]
    assert deeper[2] == first[2], "a library was built again"
    assert elsewhere[0] == 0 < elsewhere[1]
