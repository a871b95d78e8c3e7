"""The codec alone, from a repository of its own: codes and sound are the official ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oracle import Official
from qwen3_tts_edge import BundleError, Synthesizer
from qwen3_tts_edge.compat import Qwen3TTSTokenizer
from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.bundle import write_codec_bundle
from qwen3_tts_export.checkpoint import CodecCheckpoint, open_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Callable[..., Path]) -> Path:
    return tiny_checkpoint("base", "same")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    opened = open_checkpoint(checkpoint / "speech_tokenizer")
    assert isinstance(opened, CodecCheckpoint)
    return write_codec_bundle(opened, tmp_path_factory.mktemp("codec") / "bundle")


def test_codes_and_sound_are_the_official_ones(
    judge: Callable[[Path], Official], checkpoint: Path, bundle: Path
) -> None:
    official = judge(checkpoint)
    sound = np.random.default_rng(7).uniform(-0.5, 0.5, 31_111).astype(np.float32)
    codec = Qwen3TTSTokenizer.from_pretrained(bundle)
    (codes,) = codec.encode(sound, sr=24000).audio_codes
    theirs = official.model.speech_tokenizer.encode(sound, sr=24000).audio_codes[0]
    assert np.array_equal(codes, theirs.numpy())
    (samples,), rate = codec.decode({"audio_codes": codes})
    assert rate == 24000
    assert np.abs(samples - official.decode(codes)).max() <= 1e-5


def test_it_does_not_speak_and_says_so(bundle: Path) -> None:
    with pytest.raises(BundleError, match="holds the codec alone: it encodes and decodes"):
        Synthesizer.open(bundle)


def test_a_bundle_that_is_there_is_not_overwritten(checkpoint: Path, bundle: Path) -> None:
    with pytest.raises(CheckpointError, match="already exists"):
        write_codec_bundle(CodecCheckpoint.open(checkpoint / "speech_tokenizer"), bundle)
