"""The codec alone, from a repository of its own: codes and sound are the official ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from oracle.answers import AskedOnce
from parity.tolerances import assert_close
from qwen3_tts_edge import BundleError, Synthesizer
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, CODEC_ENCODER, load_codec
from qwen3_tts_edge.compat import Qwen3TTSTokenizer
from qwen3_tts_edge.errors import InputError
from qwen3_tts_export.bundle.writing import write_codec_bundle
from qwen3_tts_export.checkpoint.opening import CodecCheckpoint, open_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Callable[..., Path]) -> Path:
    return tiny_checkpoint("base", "same")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, traced_once: None) -> Path:
    opened = open_checkpoint(checkpoint / "speech_tokenizer")
    assert isinstance(opened, CodecCheckpoint)
    return write_codec_bundle(opened, tmp_path_factory.mktemp("codec") / "bundle")


def test_codes_and_sound_are_the_official_ones(
    judge: Callable[[Path], AskedOnce], checkpoint: Path, bundle: Path
) -> None:
    official = judge(checkpoint)
    sound = np.random.default_rng(7).uniform(-0.5, 0.5, 31_111).astype(np.float32)
    codec = Qwen3TTSTokenizer.from_pretrained(bundle)
    (codes,) = codec.encode(sound, sr=24000).audio_codes
    theirs = official.live.model.speech_tokenizer.encode(sound, sr=24000).audio_codes[0]
    assert np.array_equal(codes, theirs.numpy())
    (samples,), rate = codec.decode({"audio_codes": codes})
    assert rate == 24000
    assert np.abs(samples - official.decode(codes)).max() <= 1e-5


def test_it_does_not_speak_and_says_so(bundle: Path) -> None:
    with pytest.raises(BundleError, match="holds the codec alone: it encodes and decodes"):
        Synthesizer.open(bundle)


def test_a_bundle_that_is_there_is_not_overwritten(checkpoint: Path, bundle: Path) -> None:
    with pytest.raises(InputError, match="already exists"):
        write_codec_bundle(CodecCheckpoint.open(checkpoint / "speech_tokenizer"), bundle)


@pytest.mark.parametrize("flavour", ["trt", "compat"])
def test_every_flavour_hears_and_makes_the_same(
    checkpoint: Path, bundle: Path, tmp_path: Path, flavour: str
) -> None:
    opened = CodecCheckpoint.open(checkpoint / "speech_tokenizer")
    folder = write_codec_bundle(opened, tmp_path / "bundle", flavour=flavour)
    assert (load_codec(folder).flavour, load_codec(bundle).flavour) == (flavour, "ort")
    sound = np.random.default_rng(8).uniform(-0.5, 0.5, (1, 31_111)).astype(np.float32)
    heard = [run(each, CODEC_ENCODER, {"samples": sound})[0] for each in (bundle, folder)]
    assert np.array_equal(heard[0], heard[1])
    inputs = {"codes": heard[0], "position": np.array([0])}
    expected, found = (run(each, CODEC_DECODER, inputs) for each in (bundle, folder))
    assert len(found) == len(expected) > 1
    for reference, value in zip(expected, found, strict=True):
        assert_close("graphs.samples", value, reference, flavour)


def run(folder: Path, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Launch a graph of a bundle once, from an empty state."""
    spec = load_codec(folder).graphs[graph]
    session = ort.InferenceSession(folder / spec.file, providers=["CPUExecutionProvider"])
    past = {s.past.name: np.zeros((1, *s.past.shape[1:]), s.past.stored) for s in spec.states}
    return session.run(None, inputs | past)
