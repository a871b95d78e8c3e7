"""Frequencies of rotary embedding: the same on every processor, nearly the official ones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.modules.attention import rotary_angles
from tiny import EDGE_VOICE


def rounded(theta: float, head_dim: int) -> np.ndarray:
    """The official formula, each of whose results is the float32 next to it."""
    powers = [theta ** float(np.float32(i) / np.float32(head_dim)) for i in range(0, head_dim, 2)]
    return np.float32(1) / np.array(powers, np.float32)


@pytest.mark.parametrize(("theta", "head_dim"), [(1e4, 48), (1e4, 64), (1e6, 128)])
def test_they_are_rounded_once(theta: float, head_dim: int) -> None:
    ours = rotary_angles(torch.tensor(1), theta, head_dim).numpy()
    assert np.array_equal(ours, rounded(theta, head_dim))
    official = 1.0 / theta ** (torch.arange(0, head_dim, 2).float() / head_dim)
    np.testing.assert_array_max_ulp(ours, official.numpy(), maxulp=1)


def test_a_graph_has_the_same(voice_bundle: Path) -> None:
    """They are folded there, by another library."""
    codec = Checkpoint.open(EDGE_VOICE).config.codec
    graph = onnx.load(voice_bundle / "codec_decoder.onnx", load_external_data=False).graph
    stored = [x for x in graph.initializer if not x.external_data]
    found = [onnx.numpy_helper.to_array(x) for x in stored if x.dims == [codec.head_dim // 2]]
    assert [np.array_equal(x, rounded(codec.rope_theta, codec.head_dim)) for x in found] == [True]
