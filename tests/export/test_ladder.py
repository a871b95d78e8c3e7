"""The ladder: which bundles it takes, and what it finds of two that are the same."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from qwen3_tts_edge.bundle.head import FILE
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_export import cli
from qwen3_tts_export.parity import ladder
from qwen3_tts_export.parity.judge import UTTERED, sentences
from tiny import EDGE_VOICE


@pytest.fixture
def bundle(voice_bundle: Path, tmp_path: Path) -> Path:
    """The manifest of one, all that is read before the work."""
    (tmp_path / "int8").mkdir()
    shutil.copy(voice_bundle / FILE, tmp_path / "int8")
    return tmp_path / "int8"


@pytest.mark.parametrize(
    ("changes", "options", "said"),
    [
        ({}, [], "int8 does not lie in a checkpoint's folder; name what it was made from with"),
        (
            {"checkpoint": "another"},
            ["--checkpoint", str(EDGE_VOICE)],
            f"int8 was not made from {EDGE_VOICE}, but from another checkpoint; name that with",
        ),
        (
            {"flavour": "trt"},
            ["--checkpoint", str(EDGE_VOICE)],
            "int8 has flavour trt, and codes are compared on the CPU; compare one of the flavour",
        ),
    ],
)
def test_what_cannot_be_compared_is_told_before_anything_is_exported(
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    options: list[str],
    said: str,
) -> None:
    manifest = Manifest.load(bundle)
    if "checkpoint" in changes:
        other = msgspec.structs.replace(manifest.checkpoint, fingerprint=changes["checkpoint"])
        msgspec.structs.replace(manifest, checkpoint=other).save(bundle)
    else:
        msgspec.structs.replace(manifest, **changes).save(bundle)
    monkeypatch.setattr(ladder, "write_bundle", lambda *_, **__: pytest.fail("it takes minutes"))
    done = CliRunner().invoke(cli.commands, ["parity", str(bundle), "--no-listen", *options])
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_a_bundle_that_has_no_voice_of_its_own_agrees_with_itself(
    tiny_bundle: Callable[..., Path],
) -> None:
    base = tiny_bundle("base")
    found = ladder.compare(base, base, sentences(UTTERED)[:1])
    assert found.frames == found.lengths[0] == found.first[0] > 0
    assert np.array_equal(found.same, np.ones(16))
    assert np.array_equal(found.divergence, np.zeros(16))
