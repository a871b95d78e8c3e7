"""What the official package refuses is refused alike, and what else is."""

import logging
import re
from typing import Any

import numpy as np
import pytest

from parity.compat.calls import (
    BYE,
    GREEDY,
    HELLO,
    RYAN,
    SAID,
    Both,
    assert_same_wavs,
    error_of,
    sound,
)
from qwen3_tts_edge import InputError, Qwen3TTSError, Synthesizer
from qwen3_tts_edge.bundle.memory import frame_room
from qwen3_tts_edge.compat import ArgumentError, Qwen3TTSModel
from qwen3_tts_edge.speech.chunk import Audio
from qwen3_tts_edge.speech.metrics import Metrics
from qwen3_tts_edge.speech.patience import Limit, limit
from qwen3_tts_edge.speech.request import Request

HEARD = {"ref_audio": (sound(1.2, 16000), 16000), "ref_text": SAID}

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
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": (16000, sound(1.2, 16000))}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": (sound(1.2, 16000), None)}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": (sound(1.2, 16000), "abc")}),
    ("base", "create_voice_clone_prompt", HEARD | {"ref_audio": "x/" * 1000 + ".wav"}),
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
    assert len(str(found)) < 300


@pytest.mark.parametrize("name", ["num_beams", "min_new_tokens", "streaming"])
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"text": "  "}, "the text is empty"),
        ({"text": "a<|im_end|>"}, "a control token"),
        ({"text": 7}, "text is a int; expected a string"),
        ({"speaker": None}, r"Unsupported speakers: \[None\]. Supported: \['aiden', "),
        ({"speaker": ""}, "Unsupported speakers: "),
        ({"top_p": 1.5}, "top_p is 1.5; expected a number above 0"),
        ({"max_new_tokens": 1}, "max_new_tokens is 1; it must be 2"),
        ({"temperature": "0.7"}, "temperature is '0.7'; expected a number"),
        ({"top_p": np.zeros(3)}, r"top_p is array\(\[0., 0., 0.\]\); expected a number"),
        ({"instruct": 7}, "instruct is a int; expected a string"),
        ({"non_streaming_mode": "no"}, "non_streaming_mode is 'no'; expected True or False"),
        ({"do_sample": "no"}, "do_sample is 'no'; expected True or False"),
        ({"top_k": 2.5}, "top_k is 2.5; expected a whole number"),
        ({"seed": "a"}, "seed is 'a'; expected a whole number"),
        ({"eos_token_id": 1}, "eos_token_id is 1; speech ends with the checkpoint's own"),
        ({"text": []}, "text is an empty list; give at least one"),
        ({"text": [HELLO, " "]}, "text 1 of the list is empty"),
        ({"speaker": "x" * 10**6}, r"Unsupported speakers: \['x{77}…. Supported: "),
        ({"seed": -2}, "seed is -2"),
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


def test_an_upper_bound_is_an_upper_bound(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    """What memory has no room for is cut where memory ends, as the official default is."""
    ours, _ = both("custom_voice")
    small = Qwen3TTSModel(Synthesizer.open(ours.synthesizer.bundle.folder, max_seconds=1.0))
    seen: list[Request] = []
    speak = small.synthesizer.speak_batch
    small.synthesizer.speak_batch = lambda asked: seen.extend(asked) or speak(asked[:0])
    small.generate_custom_voice(**RYAN | {"text": [HELLO, BYE]}, max_new_tokens=8192)
    small.generate_custom_voice(**RYAN, max_new_tokens=2)
    assert not caplog.records
    limits = []
    for each in seen:
        prompt = small.synthesizer.prompts.build(
            each.text, each.voice, language=each.language, text_layout=each.text_layout
        )
        room = small.synthesizer.frame_graph.capacity, len(prompt.rows)
        manifest = small.synthesizer.manifest
        limits.append(limit(manifest, *room, each.text, each.max_seconds))
        most = Limit(frame_room(manifest, *room), "memory")
        assert limits[-1] in (most, Limit(1, "asked"))
    assert [each.kind for each in limits] == ["memory", "memory", "asked"]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"cut": "memory"}, r"text 2 of 2: .* was cut where memory is full; .*max_seconds"),
        ({"cut": "checkpoint"}, "was cut at the checkpoint's own max_new_tokens"),
        ({"cut": "patience"}, "did not end and was cut; another seed"),
        ({"too_short": True}, "ended before its text can have been spoken"),
        ({"cut": "asked"}, None),
    ],
)
def test_what_is_missing_of_speech_is_told(
    both: Both,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    measured: dict[str, Any],
    said: str | None,
) -> None:
    """The official names have no other way to say it."""
    ours, _ = both("custom_voice")
    spoken = [
        Audio(np.zeros(9, np.float32), np.zeros((1, 16), np.int64), 24000, 0, metrics)
        for metrics in (Metrics(24000), Metrics(24000, **measured))
    ]
    monkeypatch.setattr(ours.synthesizer, "speak_batch", lambda _: spoken)
    ours.generate_custom_voice(**RYAN | {"text": [HELLO, BYE]})
    assert len(caplog.records) == (said is not None)
    assert re.search(said or "", caplog.text)


@pytest.mark.parametrize("kind", ["custom_voice", "voice_design", "base"])
def test_what_the_official_demo_asks_of_the_model_inside(both: Both, kind: str) -> None:
    ours, theirs = (model.model for model in both(kind))
    for name in ("tts_model_type", "tts_model_size", "tokenizer_type"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert sorted(ours.get_supported_languages()) == sorted(theirs.get_supported_languages())
    assert sorted(ours.get_supported_speakers()) == sorted(theirs.get_supported_speakers())


def test_no_mode_is_the_streaming_one(both: Both) -> None:
    ours, theirs = both("custom_voice")
    asked = RYAN | GREEDY | {"non_streaming_mode": None}
    assert_same_wavs(
        ours.generate_custom_voice(**asked), theirs.generate_custom_voice(**asked), "None"
    )


def test_the_checkpoints_own_end_may_be_named(both: Both) -> None:
    ours, theirs = both("custom_voice")
    end = theirs.model.config.talker_config.codec_eos_token_id
    expected = theirs.generate_custom_voice(**RYAN, eos_token_id=end, **GREEDY)
    for named in (end, [end], np.int64(end)):
        found = ours.generate_custom_voice(**RYAN, eos_token_id=named, **GREEDY)
        assert_same_wavs(found, expected, "eos")
