"""Every file that is opened, under mutations: a clear error or a use, and nothing worse."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faults.doors import faults
from faults.openings import NAMES, door
from qwen3_tts_edge.backends.ort import cpu
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
