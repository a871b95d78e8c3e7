"""`qwen3_tts_edge.compat` speaks as the package whose names it has: the same calls to both."""

import runpy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import torch

from parity.compat.calls import BYE, FRAMES, GREEDY, HELLO, SAID, Both, assert_same_wavs
from parity.tolerances import assert_close
from qwen3_tts_edge import InputError, Synthesizer
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.compat import Qwen3TTSModel, VoiceClonePromptItem

EXAMPLES = Path(__file__).parents[2] / "examples"

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
    "zeros that greedy decoding does not read": (
        "same",
        {"text": HELLO, "speaker": "ryan", "temperature": 0.0, "subtalker_temperature": 0},
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
        assert found.ref_code.dtype == expected.ref_code.dtype
        assert np.array_equal(found.ref_code, expected.ref_code)
    vectors = (item.ref_spk_embedding.numpy() for item in (found, expected))
    assert_close("graphs.hidden", *vectors, "speaker vector")


def test_without_pytorch_prompts_and_codes_are_arrays(
    both: Both, recordings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = both("base")
    (expected,) = ours.create_voice_clone_prompt(recordings["path"], SAID)
    monkeypatch.delitem(sys.modules, "torch")
    (found,) = ours.create_voice_clone_prompt(recordings["path"], SAID)
    for name, kind in (("ref_code", np.int64), ("ref_spk_embedding", np.float32)):
        assert isinstance(getattr(found, name), np.ndarray)
        assert getattr(found, name).dtype == kind
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_a_text_of_another_recording_is_told(
    both: Both, recordings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    both("base")[0].create_voice_clone_prompt(recordings["path"], "word " * 450)
    assert "is more than can be said in it; give what the recording says" in caplog.text


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


def test_what_the_official_demo_saved_is_a_prompt(
    both: Both, recordings: dict[str, Any], tmp_path: Path
) -> None:
    """In bfloat16, as its models are, or of one that was trained."""
    ours, theirs = both("base")
    (item,) = theirs.create_voice_clone_prompt(recordings["path"], SAID)
    vector = item.ref_spk_embedding.bfloat16()
    expected = VoiceClonePromptItem(
        item.ref_code.numpy(), vector.float().numpy(), False, True, SAID
    )
    wavs = ours.generate_voice_clone(HELLO, voice_clone_prompt=expected, **GREEDY)
    for tensor in (vector, vector.float().requires_grad_()):
        torch.save({"items": [asdict(item) | {"ref_spk_embedding": tensor}]}, tmp_path / "voice.pt")
        saved = torch.load(tmp_path / "voice.pt", map_location="cpu", weights_only=True)
        for prompt in (saved, saved["items"], saved["items"][0], type(item)(**saved["items"][0])):
            found = ours.generate_voice_clone(HELLO, voice_clone_prompt=prompt, **GREEDY)
            assert_same_wavs(found, wavs, "saved")


def test_where_nobody_is_named_the_model_chooses(
    both: Both, tiny_bundle: Callable[..., Path]
) -> None:
    bundle = Bundle.open(tiny_bundle("custom_voice"))
    nameless = msgspec.structs.replace(bundle.manifest, speakers={}, dialects={})
    tts = Synthesizer.open(Bundle(bundle.folder, nameless), threads=1, verify=False)
    expected = both("custom_voice")[1].generate_custom_voice(HELLO, "", **GREEDY)
    for nobody in (None, ""):
        found = Qwen3TTSModel(tts).generate_custom_voice(HELLO, nobody, **GREEDY)
        assert_same_wavs(found, expected, "nobody")
    with pytest.raises(InputError, match=r"Unsupported speakers: \['ryan'\]. Supported: \[\]"):
        Qwen3TTSModel(tts).generate_custom_voice(HELLO, "ryan")


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


def test_threads_get_what_one_gets(both: Both) -> None:
    """Four at once on one model, sampled, texts of several lengths."""
    ours, _ = both("custom_voice")
    calls = [
        {"text": text, "speaker": speaker, "seed": seed, "non_streaming_mode": seed % 2 == 0}
        for seed, text in enumerate((HELLO, BYE, [HELLO, "a"], "No. I mean yes!"))
        for speaker in ("ryan", "vivian")
    ]

    def speak(call: dict[str, Any]) -> list[np.ndarray]:
        return ours.generate_custom_voice(**call, max_new_tokens=FRAMES + 1)[0]

    expected = [speak(call) for call in calls]
    with ThreadPoolExecutor(4) as pool:
        for found, wavs, call in zip(pool.map(speak, calls), expected, calls, strict=True):
            assert len(found) == len(wavs)
            for mine, theirs in zip(found, wavs, strict=True):
                assert np.array_equal(mine, theirs), call


EXAMPLE = {
    "custom_voice.py": ("custom_voice", "narrow"),
    "voice_design.py": ("voice_design", "same"),
    "voice_clone.py": ("base", "same"),
    "tokenizer.py": ("base", "same"),
    # What the programs that people have published do.
    "demo.py": ("base", "same"),
    "batch_job.py": ("custom_voice", "narrow"),
    "audiobook.py": ("custom_voice", "same"),
    "comfy_node.py": ("base", "same"),
    "service.py": ("voice_design", "same"),
    "fine_tuned.py": ("custom_voice", "same"),
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
    assert theirs
    assert theirs.keys() == ours.keys()
    for file, (expected, rate) in theirs.items():
        found, found_rate = ours[file]
        assert_same_wavs(([found], found_rate), ([expected], rate), f"{name}, {file}")
