"""Recordings by path, URL or as data: doors that strangers' strings come through."""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.compat.calls import SAID, Both
from qwen3_tts_edge import InputError
from qwen3_tts_edge.compat import Qwen3TTSModel
from qwen3_tts_edge.compat.sounds import local


def test_urls_are_not_fetched_unless_asked(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    ours, _ = both("base")
    with pytest.raises(InputError, match="fetch_urls=True"):
        ours.create_voice_clone_prompt("https://example.org/a.wav", SAID)


def test_urls_are_fetched_when_asked(
    both: Both, recordings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(recordings["path"]).read_bytes()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(data))
    ours, _ = both("base")
    asked = Qwen3TTSModel(ours.synthesizer, fetch_urls=True)
    found = asked.create_voice_clone_prompt("https://example.org/a.wav", SAID)
    expected = ours.create_voice_clone_prompt(recordings["path"], SAID)
    assert np.array_equal(found[0].ref_code, expected[0].ref_code)


def test_a_url_that_answers_too_much_is_refused(
    both: Both, monkeypatch: pytest.MonkeyPatch
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
def test_what_is_no_sound_is_refused(both: Both, audio: str | bytes) -> None:
    ours, _ = both("base")
    with pytest.raises(InputError):
        ours.create_voice_clone_prompt(audio, SAID)


@given(st.text() | st.text("~/\\:.ab\0", max_size=12).map("http://{}".format) | st.text("~\0ab/"))
def test_any_string_is_a_path_or_bytes_or_refused(text: str) -> None:
    for prefix in ("", "data:audio/wav;base64,", "https://", "~"):
        with suppress(InputError):
            assert isinstance(local(prefix + text, fetch_urls=False), Path | bytes)
