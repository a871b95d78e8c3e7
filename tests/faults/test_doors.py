"""Every file that is opened, under mutations: a clear error or a use, and nothing worse."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.doors import Door, faults
from faults.openings import NAMES, door
from qwen3_tts_edge.backends.ort import cpu
from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.voices import listener


@pytest.mark.parametrize("cases", [60, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_a_door(
    tmp_path: Path,
    tiny_bundle: Callable[..., Path],
    tiny_checkpoint: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    cases: int,
) -> None:
    for module, what in ((cpu, "load"), (listener, "log_mel")):  # which `door` changes
        monkeypatch.setattr(module, what, getattr(module, what))
    found = door(
        name, tmp_path, tiny_bundle("base", "narrow"), lambda: tiny_checkpoint("base", "narrow")
    )
    opened, wrong = faults(found, cases, seconds=0.25 if cases < 1000 else 1e9)
    assert opened
    assert not wrong, "\n".join(wrong)


def test_what_is_wrong_is_told_of_each_kind_once(tmp_path: Path) -> None:
    """And a process that ends is another's beginning: all are opened."""
    file = tmp_path / "door"
    file.write_bytes(b"6")

    def read() -> None:
        match file.read_bytes():
            case b"1":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"2":
                raise ValueError("what we do not raise")
            case b"3":
                raise InputError("something was wrong")
            case b"4":
                bytearray(b"a" * (99 << 20))
            case b"5":
                raise InputError(f"{file} is wrong")

    found = Door("door", file, read, lambda _, chance: bytes([chance.choice(b"123456")]))
    opened, wrong = faults(found, 40)
    assert opened == 40
    told = ("ended by SIGKILL", "ValueError: what", "does not name the file: 'some", "takes 1")
    assert len(wrong) == len(told)
    for start in told:
        assert any(each.split(": ", 1)[1].startswith(start) for each in wrong), (start, wrong)
