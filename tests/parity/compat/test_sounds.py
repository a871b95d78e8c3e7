"""Recordings by path, URL or as data: doors that strangers' strings come through."""

import base64
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/my voice.wav", "http://127.0.0.1:1x/a.wav"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"could not be fetched: .*; download the file"):
        local(url, fetch_urls=True)


@pytest.mark.parametrize(
    "audio",
    [
        "",
        "file:///a.wav",
        "data:audio/wav;base64,????",
        "x" * 300,
        "x/-" * 2000,
        "data:audio/wav;base64,AAAA",
        b"",
        b"RIFF",
    ],
)
def test_what_is_no_sound_is_refused(both: Both, audio: str | bytes) -> None:
    ours, _ = both("base")
    with pytest.raises(InputError) as error:
        ours.create_voice_clone_prompt(audio, SAID)
    assert len(str(error.value)) < 300


def test_base64_is_base64(recordings: dict[str, Any], tmp_path: Path) -> None:
    """With slashes as without, in one line or in many; a path stays one."""
    wav = Path(recordings["path"]).read_bytes()
    whole = base64.b64encode(wav).decode()
    assert "/" in whole
    for data, text in (
        (wav, whole),
        (wav, base64.encodebytes(wav).decode()),
        (wav[:900], base64.b64encode(wav[:900]).decode()),
        (b"\xff" * 300, "/" * 400),
    ):
        assert local(text, fetch_urls=False) == data
    long = tmp_path / Path(*["abcd" * 20] * 4)
    long.parent.mkdir(parents=True)
    long.touch()
    assert local(str(long), fetch_urls=False) == long
    with pytest.raises(FileNotFoundError) as error:
        local(f"{long}.wav", fetch_urls=False)
    assert len(str(error.value)) < 150


@given(st.text() | st.text("~/\\:.ab\0", max_size=12).map("http://{}".format) | st.text("~\0ab/"))
def test_any_string_is_a_path_or_bytes_or_refused(text: str) -> None:
    for prefix in ("", "data:audio/wav;base64,", "https://", "~"):
        with suppress(InputError, FileNotFoundError):
            assert isinstance(local(prefix + text, fetch_urls=False), Path | bytes)
