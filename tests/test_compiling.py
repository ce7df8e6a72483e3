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
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where machines share code; the first of them begins."""
    move_to("here", tmp_path, monkeypatch)
    return str(tmp_path / "shared")


def move_to(machine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Continue as another machine, which has a cache of its own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / machine))


def compile_here(shared: str | None) -> list[str]:
    """Compile, if there is nothing yet: writes a file where the compiler would; the files that were there before."""
    with compiling.kept("code", device=CPU, shared=shared):
        cache = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        found = [path.name for path in cache.rglob("*.so")]
        if not found:
            (cache / "ab").mkdir(parents=True)
            (cache / "ab" / "kernel.so").write_bytes(b"machine code")
    return found


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
    def named(micro_batch: int = 8, dtype: torch.dtype = torch.float32, **changes: float) -> str:
        return compiling.name(replace(CONFIG, **changes), micro_batch, dtype)

    others = [
        *(named(depth=1), named(width=32), named(heads=4), named(vocab_size=51), named(context=32), named(window=8)),
        *(named(micro_batch=4), named(dtype=torch.bfloat16), named(mlp_ratio=2), named(dropout=0.1)),
    ]

    assert named(depth=2) == named(depth=7)
    assert len({named(), *others}) == 11


def test_code_is_found_again_on_the_same_machine(shared: str) -> None:
    assert compile_here(None) == []
    assert compile_here(None) == ["kernel.so"]
    assert not Path(shared).exists()


def test_code_of_one_machine_is_unpacked_on_another_of_its_kind(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_here(shared)
    move_to("there", tmp_path, monkeypatch)

    assert compile_here(shared) == ["kernel.so"]
    assert len(list(Path(shared).iterdir())) == 1


def test_machine_of_another_kind_makes_its_own(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_here(shared)
    monkeypatch.setattr(compiling, "signature", lambda device: "another")

    assert compile_here(shared) == []
    assert len(list(Path(shared).iterdir())) == 2


def test_failed_compiling_is_neither_shared_nor_found_again(shared: str) -> None:
    def fail() -> None:
        with compiling.kept("code", device=CPU, shared=shared):
            compiled = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
            (compiled / "half.so").write_bytes(b"machine")
            raise ValueError("no compiler")

    with pytest.raises(ValueError, match="no compiler"):
        fail()

    assert not Path(shared).exists()
    assert compile_here(None) == []


def test_damaged_archive_costs_no_trial(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compile_here(shared)
    (archive,) = Path(shared).iterdir()
    archive.write_bytes(archive.read_bytes()[:20])
    move_to("there", tmp_path, monkeypatch)

    assert compile_here(shared) == []
    assert "cannot be read" in caplog.text


def test_storage_that_cannot_be_written_costs_no_trial(
    shared: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "shared").write_text("a file where a folder should be", encoding="utf-8")

    assert compile_here(shared) == []
    assert compile_here(shared) == ["kernel.so"]
    assert "is not shared" in caplog.text


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
