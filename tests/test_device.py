import pytest
import torch

from tinystories import device

CPU = torch.device("cpu")


def test_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"device 'tpu' .* allowed: auto, cpu"):
        device.choose("tpu")


@pytest.mark.parametrize(
    ("feature", "expected"),
    [("avx2", torch.float32), ("avx512_bf16", torch.bfloat16), ("amx_bf16", torch.bfloat16)],
)
def test_a_cpu_gets_the_precision_that_it_has_instructions_for(
    feature: str, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {feature: True})

    assert device.precision("auto", CPU) == expected
    assert device.precision("float32", CPU) == torch.float32
    assert device.precision("bfloat16", CPU) == torch.bfloat16


def test_processes_that_share_the_cores_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.os, "cpu_count", lambda: 8)
    rooms = []
    for threads in (1, 2, 8, 16):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        rooms.append(device.memory_bytes(CPU))

    assert rooms[1] == pytest.approx(2 * rooms[0], rel=1e-6)
    assert rooms[2] == rooms[3] == pytest.approx(8 * rooms[0], rel=1e-6)


def test_real_lack_of_memory_is_known_as_such() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)  # 256 TiB, more than a process can address

    assert device.is_out_of_memory(caught.value)
    assert device.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert device.is_out_of_memory(MemoryError())
    assert not device.is_out_of_memory(RuntimeError("shapes do not match"))


def test_machines_are_told_apart_by_what_their_code_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    here = device.signature(CPU)
    again = device.signature(CPU)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})

    assert here == again != device.signature(CPU)
