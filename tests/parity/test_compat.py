"""`qwen3_tts_edge.compat` against the package whose names it has: the same calls to both."""

import base64
import functools
import io
import logging
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from oracle import Official
from parity.tolerances import assert_close
from qwen3_tts_edge import BackendError, InputError, Qwen3TTSError
from qwen3_tts_edge.compat import (
    ArgumentError,
    Encoded,
    Qwen3TTSModel,
    Qwen3TTSTokenizer,
    VoiceClonePromptItem,
    opening,
)
from qwen3_tts_edge.compat.sounds import local
from qwen3_tts_edge.errors import BundleError
from qwen3_tts_edge.manifest import Manifest

Model = Callable[..., Qwen3TTSModel]
Both = Callable[..., tuple[Qwen3TTSModel, Any]]

EXAMPLES = Path(__file__).parent.parent / "examples"
FRAMES = 10
GREEDY = {"do_sample": False, "subtalker_dosample": False, "max_new_tokens": FRAMES + 1}
SAID = "This is what the recording says."


@pytest.fixture(scope="module")
def both(
    judge: Callable[[Path], Official],
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
) -> Both:
    """Open a tiny model here and there."""

    @functools.cache
    def opened(kind: str, predictor: str = "same") -> tuple[Qwen3TTSModel, Any]:
        mine = Qwen3TTSModel.from_pretrained(tiny_bundle(kind, predictor), threads=1)
        return mine, judge(tiny_checkpoint(kind, predictor)).wrapper

    return opened


def assert_same_wavs(found: tuple[list, int], expected: tuple[list, int], at: str) -> None:
    assert found[1] == expected[1] == 24000
    assert len(found[0]) == len(expected[0])
    for row, (mine, theirs) in enumerate(zip(found[0], expected[0], strict=True)):
        assert mine.dtype == theirs.dtype == np.float32
        # Upstream's cut after a reference is a rounded share, at times one sample early.
        assert len(theirs) - len(mine) in (0, 1)
        assert_close("streaming.official", mine, theirs[len(theirs) - len(mine) :], f"{at}, {row}")


HELLO, BYE = "Hello there, my friend.", "And now the train leaves."

CUSTOM = {
    "one": ("same", {"text": HELLO, "speaker": "Ryan", "language": "English"}),
    "defaults": ("same", {"text": HELLO, "speaker": "ryan"}),
    "streamed text": ("same", {"text": HELLO, "speaker": "ryan", "non_streaming_mode": False}),
    "dialect": ("same", {"text": "我们走吧。", "speaker": "eric", "language": "Chinese"}),
    "dropped instruction": ("same", {"text": BYE, "speaker": "ryan", "instruct": "Whisper."}),
    "texts": ("same", {"text": [HELLO, BYE], "speaker": "vivian", "language": "english"}),
    "lists of one": ("same", {"text": [HELLO, BYE], "speaker": ["vivian"], "language": ["Auto"]}),
    "instruction": ("narrow", {"text": HELLO, "speaker": "ryan", "instruct": "Very angry."}),
    "batch": (
        "narrow",
        {
            "text": [HELLO, BYE, "a"],
            "speaker": ["Ryan", "UNCLE_FU", "dylan"],
            "language": ["english", "auto", "chinese"],
            "instruct": ["Slowly.", "", None],
        },
    ),
    "one instruction for all": (
        "narrow",
        {"text": [HELLO, BYE], "speaker": "ryan", "instruct": ["Slowly."]},
    ),
}


@pytest.mark.parametrize("name", CUSTOM)
def test_custom_voices_are_the_official_ones(both: Both, name: str) -> None:
    predictor, call = CUSTOM[name]
    ours, theirs = both("custom_voice", predictor)
    found = ours.generate_custom_voice(**call, **GREEDY)
    assert len(found[0][0]) <= FRAMES * 1920
    assert_same_wavs(found, theirs.generate_custom_voice(**call, **GREEDY), name)


DESIGN = {
    "one": {"text": HELLO, "instruct": "An old man.", "language": "English"},
    "no description": {"text": HELLO, "instruct": ""},
    "streamed text": {"text": HELLO, "instruct": "An old man.", "non_streaming_mode": False},
    "batch": {
        "text": [HELLO, BYE],
        "instruct": ["An old man.", ""],
        "language": ["German", "Auto"],
    },
    "one voice for all": {"text": [HELLO, BYE], "instruct": "An old man."},
}


@pytest.mark.parametrize("name", DESIGN)
def test_designed_voices_are_the_official_ones(both: Both, name: str) -> None:
    ours, theirs = both("voice_design")
    found = ours.generate_voice_design(**DESIGN[name], **GREEDY)
    assert_same_wavs(found, theirs.generate_voice_design(**DESIGN[name], **GREEDY), name)


def sound(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Tones and noise that come and go, float32 (n,)."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * draw.uniform(90, 900) * time) for _ in range(4))
    noise = draw.standard_normal(len(time)) * 0.1
    return ((tone + noise) * (1 + np.sin(7 * time)) * 0.05).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One voice in every form: rates, channels, and ways to hand it over."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "mono.wav", sound(1.3, 24000), 24000)
    stereo = np.stack([sound(1.6, 44100, 1), sound(1.6, 44100, 2)], axis=1)
    soundfile.write(folder / "stereo.flac", stereo, 44100)
    wav = (folder / "mono.wav").read_bytes()
    return {
        "path": str(folder / "mono.wav"),
        "stereo": str(folder / "stereo.flac"),
        "data url": "data:audio/wav;base64," + base64.b64encode(wav).decode(),
        "samples": (sound(1.2, 16000, 3), 16000),
    }


@pytest.mark.parametrize("name", ["path", "stereo", "data url", "samples"])
@pytest.mark.parametrize("vector_only", [True, False])
def test_recordings_are_heard_as_the_official_package_does(
    both: Both, recordings: dict[str, Any], name: str, vector_only: bool
) -> None:
    call = {"ref_audio": recordings[name], "ref_text": SAID, "x_vector_only_mode": vector_only}
    ours, theirs = both("base")
    (found,), (expected,) = (m.create_voice_clone_prompt(**call) for m in (ours, theirs))
    assert isinstance(found, VoiceClonePromptItem)
    assert vars(found).keys() == vars(expected).keys()
    assert_same_items(found, expected)


def assert_same_items(found: VoiceClonePromptItem, expected: Any) -> None:
    for name in ("x_vector_only_mode", "icl_mode", "ref_text"):
        assert getattr(found, name) == getattr(expected, name)
    if expected.ref_code is None:
        assert found.ref_code is None
    else:
        assert found.ref_code.dtype == np.int64
        assert np.array_equal(found.ref_code, expected.ref_code)
    vector = expected.ref_spk_embedding.numpy()
    assert_close("graphs.hidden", found.ref_spk_embedding, vector, "speaker vector")


CLONES = {
    "in context": {"text": HELLO, "language": "English", "ref_text": SAID},
    "upfront text": {"text": HELLO, "ref_text": SAID, "non_streaming_mode": True},
    "vector": {"text": HELLO, "x_vector_only_mode": True},
    "texts": {"text": [HELLO, BYE], "language": ["English", "Auto"], "ref_text": SAID},
}


@pytest.mark.parametrize("name", CLONES)
def test_cloned_voices_are_the_official_ones(
    both: Both, recordings: dict[str, Any], name: str
) -> None:
    ours, theirs = both("base")
    call = CLONES[name] | {"ref_audio": recordings["path"]} | GREEDY
    assert_same_wavs(ours.generate_voice_clone(**call), theirs.generate_voice_clone(**call), name)


def test_several_recordings_beside_several_texts(both: Both, recordings: dict[str, Any]) -> None:
    """Of other rates: upstream pads those of one rate, and a partial last frame hears it."""
    ours, theirs = both("base")
    call = {
        "ref_audio": [recordings["path"], recordings["samples"]],
        "ref_text": [SAID, None],
        "x_vector_only_mode": [False, True],
    }
    prompts = [m.create_voice_clone_prompt(**call) for m in (ours, theirs)]
    for found, expected in zip(*prompts, strict=True):
        assert_same_items(found, expected)
    texts = {"text": [HELLO, BYE]} | GREEDY
    mine = ours.generate_voice_clone(voice_clone_prompt=prompts[0], **texts)
    their_own = theirs.generate_voice_clone(voice_clone_prompt=prompts[1], **texts)
    assert_same_wavs(mine, their_own, "several")


def test_a_prompt_may_be_made_of_the_official_items(both: Both, recordings: dict[str, Any]) -> None:
    ours, theirs = both("base")
    items = theirs.create_voice_clone_prompt(recordings["path"], SAID)
    expected = theirs.generate_voice_clone(HELLO, voice_clone_prompt=items, **GREEDY)
    for prompt in (items, items[0]):
        found = ours.generate_voice_clone(HELLO, voice_clone_prompt=prompt, **GREEDY)
        assert_same_wavs(found, expected, "official items")


def test_a_prompt_may_be_the_official_dict(both: Both, recordings: dict[str, Any]) -> None:
    ours, theirs = both("base")
    items = theirs.create_voice_clone_prompt(recordings["path"], x_vector_only_mode=True)
    prompt = theirs._prompt_items_to_voice_clone_prompt(items)
    assert_same_wavs(
        ours.generate_voice_clone(HELLO, voice_clone_prompt=prompt, **GREEDY),
        theirs.generate_voice_clone(HELLO, voice_clone_prompt=prompt, **GREEDY),
        "dict",
    )


RYAN = {"text": HELLO, "speaker": "ryan"}
HEARD = {"ref_audio": (sound(1.2, 16000), 16000), "ref_text": SAID}
BAD_CODE = VoiceClonePromptItem(None, np.zeros(128, np.float32), False, True, SAID)

MISTAKES = [
    ("custom_voice", "generate_voice_design", {"text": HELLO, "instruct": "Old."}),
    ("custom_voice", "generate_voice_clone", {"text": HELLO} | HEARD),
    ("custom_voice", "create_voice_clone_prompt", HEARD),
    ("voice_design", "generate_custom_voice", RYAN),
    ("base", "generate_custom_voice", RYAN),
    ("custom_voice", "generate_custom_voice", {"text": HELLO}),
    ("custom_voice", "generate_custom_voice", RYAN | {"speaker": "nobody"}),
    ("custom_voice", "generate_custom_voice", RYAN | {"language": "klingon"}),
    ("custom_voice", "generate_custom_voice", RYAN | {"language": "sichuan_dialect"}),
    ("custom_voice", "generate_custom_voice", RYAN | {"language": [None]}),
    ("custom_voice", "generate_custom_voice", RYAN | {"language": ["english", "german"]}),
    ("custom_voice", "generate_custom_voice", RYAN | {"speaker": ["ryan", "aiden"]}),
    ("custom_voice", "generate_custom_voice", RYAN | {"text": []}),
    (
        "custom_voice",
        "generate_custom_voice",
        RYAN | {"text": [HELLO] * 3, "speaker": ["ryan"] * 2},
    ),
    ("custom_voice", "generate_custom_voice", RYAN | {"temperature": -1.0, "do_sample": True}),
    ("custom_voice", "generate_custom_voice", RYAN | {"top_k": -1, "do_sample": True}),
    ("custom_voice", "generate_custom_voice", RYAN | {"repetition_penalty": 0.0}),
    ("voice_design", "generate_voice_design", {"text": HELLO}),
    ("voice_design", "generate_voice_design", {"text": HELLO, "instruct": ["a", "b"]}),
    ("voice_design", "generate_voice_design", {"text": HELLO, "instruct": "", "language": "x"}),
    ("base", "generate_voice_clone", {"text": HELLO}),
    ("base", "generate_voice_clone", {"text": HELLO, "ref_audio": HEARD["ref_audio"]}),
    (
        "base",
        "generate_voice_clone",
        {"text": [HELLO] * 3, "ref_audio": [HEARD["ref_audio"]] * 2, "x_vector_only_mode": True},
    ),
    ("base", "generate_voice_clone", {"text": HELLO, "language": "klingon"} | HEARD),
    (
        "base",
        "create_voice_clone_prompt",
        {"ref_audio": [HEARD["ref_audio"]], "ref_text": [SAID, SAID]},
    ),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_text": ""}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": sound(1.2, 16000)}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": 7}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": "no-such-file.wav"}),
]


@pytest.mark.parametrize(("kind", "method", "call"), MISTAKES)
def test_the_same_mistakes_are_the_same_exceptions(
    both: Both, kind: str, method: str, call: dict[str, Any]
) -> None:
    ours, theirs = both(kind)
    options = {} if method.startswith("create") else GREEDY
    expected, found = (
        error_of(lambda model=model: getattr(model, method)(**options | call))
        for model in (theirs, ours)
    )
    assert isinstance(found, type(expected))
    assert "\n" not in str(found)


def error_of(action: Callable[[], Any]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    pytest.fail("nothing was wrong")


@pytest.mark.parametrize("name", ["num_beams", "eos_token_id", "min_new_tokens", "streaming"])
@pytest.mark.parametrize(
    ("kind", "method", "call"),
    [
        ("custom_voice", "generate_custom_voice", RYAN),
        ("voice_design", "generate_voice_design", {"text": HELLO, "instruct": ""}),
        ("base", "generate_voice_clone", {"text": HELLO} | HEARD),
    ],
)
def test_unknown_keyword_arguments_are_refused(
    both: Both, kind: str, method: str, call: dict[str, Any], name: str
) -> None:
    ours, _ = both(kind)
    with pytest.raises(TypeError, match=f"unexpected keyword argument {name}; ") as error:
        getattr(ours, method)(**call, **{name: 1})
    assert isinstance(error.value, Qwen3TTSError)
    with pytest.raises(TypeError):
        Qwen3TTSModel.from_pretrained("nowhere", trust_remote_code=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"text": "  "}, "the text is empty"),
        ({"text": "a<|im_end|>"}, "a control token"),
        ({"text": 7}, "text is a int; expected a string"),
        ({"speaker": None}, r"Unsupported speakers: \[None\]. Supported: \['aiden', "),
        ({"speaker": ""}, "Unsupported speakers: "),
        ({"top_p": 1.5}, "top_p is 1.5; it must be above 0"),
        ({"max_new_tokens": 1}, "max_new_tokens is 1; it must be 2"),
        ({"max_new_tokens": 10**6}, "larger max_seconds"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_upstream_lets_pass_and_we_do_not(
    both: Both, call: dict[str, Any], message: str
) -> None:
    ours, _ = both("custom_voice")
    with pytest.raises((InputError, ArgumentError), match=message):
        ours.generate_custom_voice(**RYAN | call)


def test_a_dropped_instruction_is_logged(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    ours, _ = both("custom_voice")
    with caplog.at_level(logging.WARNING):
        ours.generate_custom_voice(**RYAN, instruct="Whisper.", **GREEDY)
    assert "'Whisper.' is dropped" in caplog.text


def test_supported_names_are_the_official_ones(both: Both) -> None:
    for kind in ("custom_voice", "voice_design", "base"):
        ours, theirs = both(kind)
        assert ours.get_supported_speakers() == theirs.get_supported_speakers()
        assert ours.get_supported_languages() == theirs.get_supported_languages()


def test_a_seed_speaks_the_same_again_and_counts_up_in_a_batch(both: Both) -> None:
    ours, _ = both("custom_voice")
    sampled = {"speaker": "ryan", "max_new_tokens": FRAMES + 1}
    first, again = (ours.generate_custom_voice([HELLO] * 2, seed=5, **sampled)[0] for _ in "ab")
    (alone,), _ = ours.generate_custom_voice(HELLO, seed=6, **sampled)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert_close("streaming.samples", alone, first[1], "row 1")


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
            assert mine.dtype == np.int64
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


def test_a_bundle_without_an_encoder_decodes(tiny_bundle: Callable[..., Path]) -> None:
    codec = Qwen3TTSTokenizer.from_pretrained(tiny_bundle("custom_voice"))
    assert codec.decode({"audio_codes": [np.zeros((2, 16), np.int64)]})[0][0].shape == (3840,)
    with pytest.raises(InputError, match="has no codec encoder; open one of a Base checkpoint"):
        codec.encode(sound(1.0, 24000), sr=24000)


class TestSounds:
    """Doors that strangers' strings come through."""

    def test_urls_are_not_fetched_unless_asked(
        self, both: Both, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fetch(*_: Any, **__: Any) -> None:
            raise AssertionError("the network was used")

        monkeypatch.setattr("urllib.request.urlopen", fetch)
        ours, _ = both("base")
        with pytest.raises(InputError, match="fetch_urls=True"):
            ours.create_voice_clone_prompt("https://example.org/a.wav", SAID)

    def test_urls_are_fetched_when_asked(
        self, both: Both, recordings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = Path(recordings["path"]).read_bytes()
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(data))
        ours, _ = both("base")
        asked = Qwen3TTSModel(ours.synthesizer, fetch_urls=True)
        found = asked.create_voice_clone_prompt("https://example.org/a.wav", SAID)
        expected = ours.create_voice_clone_prompt(recordings["path"], SAID)
        assert np.array_equal(found[0].ref_code, expected[0].ref_code)

    def test_a_url_that_answers_too_much_is_refused(
        self, both: Both, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("qwen3_tts_edge.compat.sounds._LARGEST_DOWNLOAD", 10)
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"x" * 100))
        asked = Qwen3TTSModel(both("base")[0].synthesizer, fetch_urls=True)
        with pytest.raises(InputError, match="is larger than"):
            asked.create_voice_clone_prompt("http://example.org/a.wav", SAID)

    @pytest.mark.parametrize(
        "audio",
        ["data:audio/wav;base64,????", "x" * 300, "data:audio/wav;base64,AAAA", b"", b"RIFF"],
    )
    def test_what_is_no_sound_is_refused(self, both: Both, audio: str | bytes) -> None:
        ours, _ = both("base")
        with pytest.raises(InputError):
            ours.create_voice_clone_prompt(audio, SAID)

    @given(
        st.text() | st.text("~/\\:.ab\0", max_size=12).map("http://{}".format) | st.text("~\0ab/")
    )
    def test_any_string_is_a_path_or_bytes_or_refused(self, text: str) -> None:
        for prefix in ("", "data:audio/wav;base64,", "https://", "~"):
            with suppress(InputError):
                assert isinstance(local(prefix + text, fetch_urls=False), Path | bytes)


class TestOpening:
    def test_a_checkpoint_is_exported_once(
        self,
        tiny_checkpoint: Callable[..., Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setenv(opening.CACHE, str(tmp_path))
        folder = tiny_checkpoint("custom_voice")
        model = Qwen3TTSModel.from_pretrained(str(folder), device_map="cpu", dtype=torch.float32)
        assert "once; this takes minutes" in caplog.text
        (made,) = (tmp_path / "bundles").iterdir()
        assert made == model.synthesizer.folder
        assert made.name.startswith(f"{folder.name}-")
        assert made.name.endswith("-fp32")
        assert Manifest.load(made).precision == "fp32"
        assert model.generate_custom_voice(HELLO, "ryan", **GREEDY)[0][0].shape == (19200,)
        # Again, and a copy of it: found. Another checkpoint, or precision: not.
        monkeypatch.setattr(opening, "_export", lambda *_: pytest.fail("exported again"))
        assert opening.bundle(folder, dtype="float32") == made
        copy = shutil.copytree(folder, tmp_path / folder.name)
        assert opening.bundle(copy, dtype="torch.float32") == made
        codec = Qwen3TTSTokenizer.from_pretrained(folder, dtype="float32")
        assert codec.decode({"audio_codes": np.zeros((2, 16), np.int64)})[0][0].shape == (3840,)
        weights = bytearray((copy / "model.safetensors").read_bytes())
        weights[len(weights) // 2] ^= 1
        (copy / "model.safetensors").write_bytes(weights)
        for source, dtype in ((copy, "float32"), (folder, None)):
            with pytest.raises(pytest.fail.Exception):
                opening.bundle(source, dtype=dtype)

    def test_a_failed_export_says_why_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(opening.CACHE, str(tmp_path / "cache"))
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "config.json").write_text("{}")
        with pytest.raises(BundleError, match=r"could not be exported: .*config\.json") as error:
            Qwen3TTSModel.from_pretrained(broken)
        assert "\n" not in str(error.value)
        assert list((tmp_path / "cache" / "bundles").iterdir()) == []

    def test_without_the_command_it_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(BundleError, match=r"pip install 'qwen3-tts-edge\[export\]'"):
            Qwen3TTSModel.from_pretrained(tmp_path)

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            ({"device_map": "cuda:0"}, BackendError, "device_map is 'cuda:0'"),
            ({"device_map": torch.device("cuda")}, BackendError, "device_map is 'cuda'"),
            ({"device_map": {"a": "cpu", "b": "cuda:0"}}, BackendError, "device_map is"),
            ({"dtype": torch.int64}, InputError, "dtype is 'int64'; use one of float32"),
            ({"attn_implementation": "paged"}, InputError, "attn_implementation is 'paged'"),
            ({"revision": "main"}, InputError, "a revision belongs to a hub id"),
        ],
    )
    def test_what_cannot_be_had_is_refused(
        self,
        tiny_bundle: Callable[..., Path],
        call: dict[str, Any],
        error: type[Exception],
        message: str,
    ) -> None:
        for door in (Qwen3TTSModel, Qwen3TTSTokenizer):
            with pytest.raises(error, match=message):
                door.from_pretrained(tiny_bundle("custom_voice"), **call)

    def test_float32_of_an_int8_bundle_is_refused(
        self, tiny_bundle: Callable[..., Path], tmp_path: Path
    ) -> None:
        exact = tiny_bundle("custom_voice")
        msgspec.structs.replace(Manifest.load(exact), precision="int8").save(tmp_path)
        with pytest.raises(InputError, match=r"dtype is float32, the bundle .* is in int8"):
            Qwen3TTSModel.from_pretrained(tmp_path, dtype=torch.float32)
        assert opening.bundle(tmp_path, dtype=torch.bfloat16) == tmp_path
        assert opening.bundle(exact, dtype=torch.bfloat16) == exact

    @pytest.mark.parametrize("where", [None, "cpu", "auto", torch.device("cpu"), {"": "cpu"}])
    def test_the_cpu_has_many_names(self, where: object) -> None:
        assert opening.backend(where) in ("auto", "ort-cpu")

    def test_what_is_no_model_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not a folder, nor a hub id"):
            Qwen3TTSModel.from_pretrained("no such model")
        with pytest.raises(InputError, match="neither a bundle"):
            Qwen3TTSModel.from_pretrained(tmp_path)
        with pytest.raises(ArgumentError, match="the model is a int"):
            Qwen3TTSModel.from_pretrained(7)

    def test_a_hub_id_is_downloaded(
        self, tiny_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub = pytest.importorskip("huggingface_hub")
        exported: list[Path] = []
        monkeypatch.setattr(
            hub, "snapshot_download", lambda *_, **__: str(tiny_checkpoint("custom_voice"))
        )
        monkeypatch.setattr(opening, "_export", lambda _, made, __: exported.append(made))
        made = opening.bundle("somebody/Some-Model", revision="main")
        assert exported == [made]
        assert made.name.startswith("Some-Model-")

        def offline(*_: Any, **__: Any) -> None:
            raise OSError("no route\nto anywhere")

        monkeypatch.setattr(hub, "snapshot_download", offline)
        with pytest.raises(InputError, match=r"could not be downloaded: no route$"):
            opening.bundle("somebody/Some-Model")

    def test_importing_loads_no_torch(self) -> None:
        code = "import qwen3_tts_edge.compat, sys; print('torch' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["False"]


EXAMPLE = {
    "custom_voice.py": ("custom_voice", "narrow"),
    "voice_design.py": ("voice_design", "same"),
    "voice_clone.py": ("base", "same"),
    "tokenizer.py": ("base", "same"),
}


@pytest.mark.parametrize("name", EXAMPLE)
def test_an_example_runs_with_only_its_import_changed(
    name: str,
    both: Both,
    tiny_checkpoint: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    recordings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both(*EXAMPLE[name])  # imports the official package without its 25 Hz tokenizer
    official = (EXAMPLES / name).read_text(encoding="utf-8")
    ported = official.replace("from qwen_tts import", "from qwen3_tts_edge.compat import")
    assert official != ported
    checkpoint = tiny_checkpoint(*EXAMPLE[name])
    if name == "tokenizer.py":
        checkpoint /= "speech_tokenizer"
    wavs = []
    for side, text, model in (
        ("theirs", official, checkpoint),
        ("ours", ported, tiny_bundle(*EXAMPLE[name])),
    ):
        folder = tmp_path / side
        folder.mkdir()
        script = tmp_path / f"{side}.py"
        script.write_text(text, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", [str(script), str(model), str(folder), recordings["path"]])
        runpy.run_path(str(script), run_name="__main__")
        wavs.append({p.name: soundfile.read(p, dtype="float32") for p in folder.iterdir()})
    theirs, ours = wavs
    assert theirs.keys() == ours.keys()
    for file, (expected, rate) in theirs.items():
        found, found_rate = ours[file]
        assert_same_wavs(([found], found_rate), ([expected], rate), f"{name}, {file}")
