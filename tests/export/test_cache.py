"""A KV cache in int8, held against the same bundle's in float32."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.bundle import Bundle, memory
from qwen3_tts_edge.bundle.manifest import FRAME
from qwen3_tts_edge.machine.texts import TEXTS
from qwen3_tts_edge.speech.request import Request
from qwen3_tts_export.cache.narrowing import narrow
from qwen3_tts_export.cli import commands
from qwen3_tts_export.parity.forced_graph import ForcedGraph

MEASURED, OTHERS = TEXTS[::3], (TEXTS[4], TEXTS[10])


@pytest.fixture(scope="module")
def narrowed(exact_voice_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "narrowed"
    shutil.copytree(exact_voice_bundle, folder)
    narrow(folder)
    return folder


def test_it_is_a_quarter_and_a_whole_bundle(narrowed: Path, exact_voice_bundle: Path) -> None:
    bundle, exact = Bundle.open(narrowed), Bundle.open(exact_voice_bundle)
    bundle.verify()
    for state in bundle.manifest.graphs[FRAME].states:
        cached = state.past.name.startswith("past_key_values")
        assert (state.past.dtype == "int8") is cached, state.past.name
    found, expected = (memory.plan(each.manifest, 60.0).kv_cache for each in (bundle, exact))
    assert 4 * found == expected


def test_codes_are_those_of_a_float32_cache(narrowed: Path, exact_voice_bundle: Path) -> None:
    """Teacher-forced, on texts that nothing was measured on."""
    assert not {*MEASURED} & {*OTHERS}
    tts = Synthesizer.open(exact_voice_bundle, threads=1)
    graphs = [ForcedGraph(folder) for folder in (exact_voice_bundle, narrowed)]
    same = []
    for seed, text in enumerate(OTHERS):
        said, prompt = tts.speak(text, seed=seed).codes, tts.prompts.build(text)
        exact, found = (graph.force(prompt, said) for graph in graphs)
        assert not np.array_equal(exact.talker, found.talker)
        same.append(exact.talker.argmax(-1) == found.talker.argmax(-1))
        same.append((exact.predictor.argmax(-1) == found.predictor.argmax(-1)).all(-1))
    talker, predictor = (np.concatenate(same[part::2]).mean() for part in (0, 1))
    assert talker >= 0.99
    assert predictor >= 0.8  # of all fifteen in a frame


def test_a_stream_says_in_company_what_it_says_alone(narrowed: Path) -> None:
    tts = Synthesizer.open(narrowed, threads=1, slots=3)
    asked = [Request(text, seed=seed, max_seconds=2.0) for seed, text in enumerate(TEXTS[:3])]
    together = tts.speak_batch(asked)
    for request, heard in zip(asked, together, strict=True):
        (alone,) = tts.speak_batch([request])
        assert np.array_equal(heard.codes, alone.codes)


def test_other_flavours_have_none(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    arguments = ["bundle", "x", "-o", str(output), "--flavour", "cuda", "--kv-cache-dtype", "int8"]
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code != 0
    assert "an int8 KV cache is for the flavour ort, not for cuda" in done.output
    assert "leave --kv-cache-dtype away" in done.output
    assert not output.exists()


def test_a_codec_has_none(tmp_path: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    codec, output = tiny_checkpoint("base") / "speech_tokenizer", tmp_path / "bundle"
    arguments = ["bundle", str(codec), "-o", str(output), "--kv-cache-dtype", "int8"]
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == 2
    assert f"{codec} is a codec, which has no KV cache; leave --kv-cache-dtype" in done.stderr
    assert not output.exists()
