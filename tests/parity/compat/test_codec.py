"""`Qwen3TTSTokenizer` encodes and decodes as the official one: the same calls to both."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parity.compat.calls import Both, assert_same_wavs, error_of, sound
from qwen3_tts_edge import InputError
from qwen3_tts_edge.compat import ArgumentError, Encoded, Qwen3TTSTokenizer


@pytest.fixture(scope="module")
def codecs(both: Both, tiny_bundle: Callable[..., Path]) -> tuple[Qwen3TTSTokenizer, Any]:
    _, official = both("base")
    ours = Qwen3TTSTokenizer.from_pretrained(tiny_bundle("base"), threads=1)
    return ours, official.model.speech_tokenizer


@pytest.mark.parametrize("name", ["path", "stereo", "data url"])
def test_files_are_encoded_as_the_official_package_does(
    codecs: tuple[Qwen3TTSTokenizer, Any], recordings: dict[str, Any], name: str
) -> None:
    ours, theirs = codecs
    expected = theirs.encode(recordings[name])
    found = ours.encode(recordings[name])
    assert np.array_equal(found.audio_codes[0], expected.audio_codes[0])
    assert found["audio_codes"] is found[0] is found.audio_codes
    (raw,) = ours.encode(recordings[name], return_dict=False)
    assert np.array_equal(raw[0], expected.audio_codes[0])


def test_arrays_are_encoded_as_the_official_package_does(
    codecs: tuple[Qwen3TTSTokenizer, Any],
) -> None:
    ours, theirs = codecs
    stereo = np.stack([sound(1.0, 48000), sound(1.0, 48000, 1)], axis=1)
    for audio in (sound(0.5, 48000), stereo, [sound(0.5, 48000, seed) for seed in (1, 2)]):
        found, expected = (codec.encode(audio, sr=48000).audio_codes for codec in codecs)
        assert len(found) == len(expected)
        for mine, their in zip(found, expected, strict=True):
            assert mine.dtype == their.dtype
            assert np.array_equal(mine, their)
    assert ours.encode([]).audio_codes == []
    pcm = (sound(0.5, 24000) * 2**15).astype(np.int16)
    scaled = (pcm / 2**15).astype(np.float32)
    both_ways = [ours.encode(one, sr=24000).audio_codes[0] for one in (pcm, scaled)]
    assert np.array_equal(*both_ways)
    assert theirs.get_model_type() == ours.get_model_type()


def test_codes_in_every_form_are_decoded_as_the_official_package_does(
    codecs: tuple[Qwen3TTSTokenizer, Any],
) -> None:
    ours, theirs = codecs
    draw = np.random.default_rng(0)
    long, short = (torch.from_numpy(draw.integers(0, 2048, (n, 16))) for n in (40, 7))
    padded = torch.nn.utils.rnn.pad_sequence([long, short], batch_first=True, padding_value=-1)
    forms = {
        "dict of lists": {"audio_codes": [long, short]},
        "dict of one": {"audio_codes": long},
        "dict of a padded batch": {"audio_codes": padded},
        "list of dicts": [{"audio_codes": long.numpy()}, {"audio_codes": short.numpy()}],
    }
    for name, form in forms.items():
        assert_same_wavs(ours.decode(form), theirs.decode(form), name)
    assert_same_wavs(
        ours.decode(Encoded([long.numpy()])), theirs.decode({"audio_codes": [long]}), "encoded"
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda codec: codec.encode(sound(1.0, 24000)),  # no rate
        lambda codec: codec.encode([sound(1.0, 24000), "a.wav"], sr=24000),
        lambda codec: codec.encode("no-such-file.wav"),
        lambda codec: codec.decode(7),
        lambda codec: codec.decode({"codes": 7}),
        lambda codec: codec.decode([{"codes": 7}]),
    ],
)
def test_the_same_mistakes_with_the_codec(
    codecs: tuple[Qwen3TTSTokenizer, Any], call: Callable[[Any], Any]
) -> None:
    ours, theirs = codecs
    assert isinstance(error_of(lambda: call(ours)), type(error_of(lambda: call(theirs))))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((3, 15), np.int64), "expected (frames, 16)"),
        (np.full((3, 16), 2048), "the codebooks have 0..2047"),
        (np.zeros((3, 16)), "expected whole numbers"),
        (np.zeros(3, np.int64), "expected whole numbers (frames, 16)"),
    ],
)
def test_codes_that_are_none_are_refused(
    codecs: tuple[Qwen3TTSTokenizer, Any], codes: np.ndarray, message: str
) -> None:
    with pytest.raises(InputError) as error:
        codecs[0].decode([{"audio_codes": codes}])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (sound(1.0, 24000), "abc", "the sample rate is 'abc'; expected a number"),
        (sound(1.0, 24000), [24000], "the sample rate is a list; expected a number"),
        (None, 24000, "audio is a NoneType; expected a path, a URL, base64"),
        (io.BytesIO(b"RIFF\n\n"), None, "audio is a BytesIO"),
        (bytearray(b"RIFF"), None, "audio is a bytearray"),
    ],
)
def test_a_sound_that_is_none_is_refused(
    codecs: tuple[Qwen3TTSTokenizer, Any], audio: Any, rate: Any, message: str
) -> None:
    with pytest.raises((InputError, ArgumentError), match=message):
        codecs[0].encode(audio, rate)


def test_a_bundle_without_an_encoder_decodes(tiny_bundle: Callable[..., Path]) -> None:
    codec = Qwen3TTSTokenizer.from_pretrained(tiny_bundle("custom_voice"))
    assert codec.decode({"audio_codes": [np.zeros((2, 16), np.int64)]})[0][0].shape == (3840,)
    with pytest.raises(InputError, match="has no codec encoder; open one of a Base checkpoint"):
        codec.encode(sound(1.0, 24000), sr=24000)
