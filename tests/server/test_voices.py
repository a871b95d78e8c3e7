"""Voices over HTTP: uploaded, kept with their consent, spoken with, deleted; and what is none."""

import base64
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError  # an own one, on 3.10
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
import numpy as np
import openai
import pytest
import soundfile

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.errors import InputError, Qwen3TTSError
from qwen3_tts_edge.server.protocols.wyoming.voices import info
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.voices.names import Voices
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.voices import library
from server.serving import Served, serving
from server.uploads import CONSENT, SAID, recording, upload


@pytest.fixture
def kept_by_another_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, str(tmp_path))
    library.place_for("anna", replace=False).write_bytes(b"of another bundle")


def pcm(http: httpx2.Client, **asked: Any) -> bytes:
    body = {"input": "Yes.", "seed": 7, "response_format": "pcm", "max_new_tokens": 4, **asked}
    answer = http.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


def expected(base: Path, voice: Voice) -> bytes:
    stream = Synthesizer.open(base, verify=False).stream("Yes.", voice, seed=7, max_seconds=0.32)
    return b"".join(to_pcm(chunk.samples) for chunk in stream)


def test_languages_are_those_that_can_be_asked_for(voice_bundle: Path) -> None:
    """A fine-tune may name its own; dialects come with their speaker."""
    opened = Bundle.open(voice_bundle)
    languages = {"chinese": 1, "old_english": 2, "sichuan_dialect": 3}
    manifest = msgspec.structs.replace(opened.manifest, languages=languages)
    assert Voices(Bundle(opened.folder, manifest), {}).languages == ["old_english", "zh"]


@pytest.mark.parametrize("text", [None, "", SAID])
def test_a_recording_becomes_a_voice_that_is_kept(
    http: httpx2.Client, base: Path, text: str | None
) -> None:
    answer = upload(http, **({} if text is None else {"ref_text": text}))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["id"], told["name"], told["object"]) == ("anna", "anna", "audio.voice")
    assert told["success"] is True
    kept = Voice.load(library.path_of("anna"))
    assert kept.provenance is not None
    assert (kept.provenance.consent, kept.text) == (CONSENT, text or None)
    assert told["created_at"] == told["voice"]["created_at"] == kept.provenance.created_at
    heard = Synthesizer.open(base, verify=False).clone(recording(), text or None)
    assert np.array_equal(kept.speaker_vector, heard.speaker_vector)
    assert pcm(http, voice="Anna") == expected(base, heard)
    listed = http.get("/v1/audio/voices").json()
    assert listed["voices"] == [{"id": "anna", "name": "anna"}]
    (uploaded,) = listed["uploaded_voices"]
    assert uploaded == told["voice"]
    assert (uploaded["consent"], uploaded["embedding_source"]) == (CONSENT, "audio")
    gone = http.delete("/v1/audio/voices/anna").json()
    assert (gone["id"], gone["deleted"], gone["object"]) == ("anna", True, "audio.voice.deleted")
    assert gone["success"] is True
    assert library.names() == []
    assert http.delete("/v1/audio/voices/anna").status_code == 404


def test_through_openais_client(cloning: Served, http: httpx2.Client) -> None:
    client = openai.OpenAI(base_url=f"{cloning.url}/v1", api_key="any", max_retries=0)
    made = client.audio.voices.create(
        name="anna", consent=CONSENT, audio_sample=("a.wav", recording(), "audio/wav")
    )
    assert (made.id, made.name, made.object) == ("anna", "anna", "audio.voice")
    answer = client.audio.speech.create(
        model="tts-1", voice={"id": "anna"}, input="Yes.", extra_body={"max_new_tokens": 3}
    )
    assert answer.read()


def test_a_recording_may_come_with_the_request(http: httpx2.Client, base: Path) -> None:
    heard = Synthesizer.open(base, verify=False).clone(recording(), SAID)
    coded = base64.b64encode(recording()).decode()
    for source in (coded, f"data:audio/wav;base64,{coded}", f"DATA:audio/wav;BASE64,{coded}"):
        assert pcm(http, ref_audio=source, ref_text=SAID) == expected(base, heard)
    alone = Synthesizer.open(base, verify=False).clone(recording())
    asked = {"ref_audio": coded, "ref_text": SAID, "x_vector_only_mode": True}
    assert pcm(http, **asked) == expected(base, alone)
    vector = alone.speaker_vector.tolist()
    assert pcm(http, speaker_embedding=vector) == expected(base, alone)
    # A voice has to be named by many clients, one without words to be sent.
    asked = {"voice": "alloy", "speaker_embedding": vector, "x_vector_only_mode": True}
    assert pcm(http, **asked) == expected(base, alone)
    assert pcm(http, voice="alloy", ref_audio=coded, ref_text="") == expected(base, alone)


def test_a_voice_that_is_asked_for_in_two_ways_is_neither(http: httpx2.Client) -> None:
    assert upload(http).status_code == 200
    coded = base64.b64encode(recording()).decode()
    for asked, param, says in (
        ({"voice": "Anna", "ref_audio": coded}, "voice", "there is ref_audio too"),
        ({"speaker": "anna", "ref_audio": coded}, "voice", "there is ref_audio too"),
        ({"voice": "anna", "speaker_embedding": [1.0]}, "voice", "speaker_embedding too"),
        ({"speaker_embedding": [1.0], "ref_audio": coded}, "speaker_embedding", "ref_audio too"),
        ({"voice": "anna", "ref_text": SAID}, "ref_text", "no ref_audio that says it"),
        ({"speaker_embedding": [1.0], "ref_text": SAID}, "ref_text", "no ref_audio"),
        ({"voice": "anna", "x_vector_only_mode": True}, "x_vector_only_mode", "no ref_audio"),
        ({"ref_audio": coded, "x_vector_only_mode": False}, "ref_text", "send its words"),
        ({"ref_audio": coded, "ref_text": "…"}, "ref_text", "has no letter or digit"),
        ({"ref_audio": coded, "ref_text": "<|im_end|>"}, "ref_text", "control token"),
    ):
        answer = http.post("/v1/audio/speech", json={"input": "Yes.", **asked})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), asked
        assert says in answer.json()["error"]["message"]


def test_a_speaker_vector_becomes_a_voice(http: httpx2.Client, base: Path) -> None:
    alone = Synthesizer.open(base, verify=False).clone(recording())
    vector = alone.speaker_vector.tolist()
    fields = {"name": "vector", "consent": CONSENT, "speaker_embedding": json.dumps(vector)}
    told = http.post("/v1/audio/voices", data=fields).json()
    assert told["voice"]["embedding_source"] == "direct"
    assert told["voice"]["embedding_dim"] == len(vector)
    assert pcm(http, voice="vector") == expected(base, alone)


def test_a_name_that_is_taken_is_replaced_only_where_that_is_asked_for(http: httpx2.Client) -> None:
    assert upload(http).status_code == 200
    before = library.path_of("anna").read_bytes()
    way = "replace it with replace=true"
    for name, more, says in (
        ("anna", {}, way),
        ("Anna", {}, f"{way}, by its name anna"),
        ("Anna", {"replace": "true"}, f"{way}, by its name anna"),
    ):
        answer = upload(http, name, ref_text=SAID, **more)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")
        message = answer.json()["error"]["message"]
        assert message == f"there is a voice 'anna' already; choose another name, or {says}"
    assert library.path_of("anna").read_bytes() == before
    assert upload(http, ref_text=SAID, replace="true").status_code == 200
    assert library.path_of("anna").read_bytes() != before


def test_a_name_that_another_process_takes_meanwhile_is_its_own(
    http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as another:
        with library.held("anna", replace=False) as path:
            uploading = another.submit(upload, http)
            with suppress(TimeoutError):
                uploading.result(0.5)
            path.write_bytes(b"of another process")
        answer = uploading.result(60)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")
    assert "replace it with replace=true" in answer.json()["error"]["message"]
    assert path.read_bytes() == b"of another process"
    assert "anna" not in caplog.text


def test_a_folder_that_cannot_be_used_is_the_server_s_fault_and_told(
    cloning: Served, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv(library.VARIABLE, "/dev/null/voices")
        answers = [upload(http)]

    def fails() -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(library, "names", fails)
        answers += [http.get("/v1/audio/voices"), http.delete("/v1/audio/voices/anna")]
        with pytest.raises(Qwen3TTSError, match="cannot be used"):
            info(cloning.service)
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "the server's folder of voices cannot be used" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", ".hidden", "", " ", "a\0b", "a\nb", "x" * 65, "\U00020000" * 64, "..", "a\\b"],
)
def test_a_name_that_is_none(http: httpx2.Client, name: str) -> None:
    folder = library.folder()
    before = sorted(folder.parent.rglob("*"))
    answer = upload(http, name)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")
    assert http.delete(f"/v1/audio/voices/{quote(name or 'x', safe='')}").status_code == 404
    assert sorted(folder.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("fields", "sample", "param", "message"),
    [
        ({"consent": ""}, recording(), "consent", ""),
        ({"consent": " \n"}, recording(), "consent", ""),
        ({}, None, "audio_sample", "one of audio_sample and speaker_embedding"),
        ({"speaker_embedding": "[1.0]"}, recording(), "audio_sample", "one of"),
        ({"speaker_embedding": "[1.0]"}, None, "speaker_embedding", "vector of 1 numbers"),
        ({"speaker_embedding": "[1.0]", "ref_text": SAID}, None, "ref_text", "says nothing"),
        ({"speaker_embedding": "[NaN]"}, None, "speaker_embedding", ""),
        ({"speaker_embedding": "x"}, None, "speaker_embedding", "JSON"),
        ({"ref_text": "<|im_end|>"}, recording(), "ref_text", "control token"),
        ({}, b"no sound", "audio_sample", "is not a sound file that can be read"),
        ({}, recording(0.5), "audio_sample", "from 1 to 60 s"),
        ({}, recording(61, 8000), "audio_sample", "is longer"),
        ({}, recording(1.2, 384_000), "audio_sample", "384000 Hz"),
    ],
)
def test_what_is_no_voice_leaves_nothing(
    http: httpx2.Client, fields: dict[str, str], sample: bytes | None, param: str, message: str
) -> None:
    files = {} if sample is None else {"audio_sample": ("a.wav", sample, "audio/wav")}
    data = {"name": "anna", "consent": CONSENT, **fields}
    answer = http.post("/v1/audio/voices", data=data, files=files)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert message in answer.json()["error"]["message"]
    assert list(library.folder().glob("*")) == []


def test_a_recording_that_is_sent_as_text_is_no_file(http: httpx2.Client) -> None:
    coded = base64.b64encode(recording()).decode()
    fields = {"name": "anna", "consent": CONSENT, "audio_sample": coded}
    error = http.post("/v1/audio/voices", data=fields).json()["error"]
    message = "audio_sample is no file; send one, as multipart/form-data"
    assert (error["param"], error["message"]) == ("audio_sample", message)


def test_a_small_file_that_unpacks_to_hours_is_read_for_a_minute(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    plain = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, *args: Any, **more: Any) -> Any:
        block = plain(self, *args, **more)
        read.append(block.size)
        return block

    file = io.BytesIO()
    soundfile.write(file, np.zeros(8000 * 3600, np.int16), 8000, format="FLAC")
    assert len(file.getvalue()) < 1 << 17
    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    files = {"audio_sample": ("a.flac", file.getvalue(), "audio/flac")}
    answer = http.post("/v1/audio/voices", data={"name": "a", "consent": CONSENT}, files=files)
    assert answer.status_code == 400
    assert "is longer" in answer.json()["error"]["message"]
    assert sum(read) <= 8000 * 60 + (1 << 20)


def test_more_channels_than_a_voice_has_are_not_read(http: httpx2.Client) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((30000, 9)), 24000, format="WAV")
    files = {"audio_sample": ("a.wav", file.getvalue(), "audio/wav")}
    answer = http.post("/v1/audio/voices", data={"name": "a", "consent": CONSENT}, files=files)
    assert answer.status_code == 400
    assert "has 9 channels" in answer.json()["error"]["message"]


def test_strangers_are_told_names_and_no_more(
    cloning: Served, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key is needed, and none was shown: a list is told all the same, as Open WebUI asks for."""
    assert upload(http, ref_text=SAID).status_code == 200
    settings = replace(cloning.service.settings, keys=("a-key",))
    monkeypatch.setattr(cloning.service, "settings", settings)
    for path in ("/v1/audio/voices", "/audio/voices"):
        listed = http.get(path).json()
        assert listed["voices"] == [{"id": "anna", "name": "anna"}]
        assert listed["uploaded_voices"] == [{"name": "anna"}]


def test_a_file_that_is_no_profile_is_not_listed(cloning: Served, http: httpx2.Client) -> None:
    library.folder().mkdir(exist_ok=True)
    library.path_of("broken").write_bytes(b"nothing")
    assert http.get("/v1/audio/voices").json() == {"voices": [], "uploaded_voices": []}
    assert info(cloning.service).tts[0].voices == []
    answer = http.post("/v1/audio/speech", json={"input": "Yes.", "voice": "broken"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "voice")
    assert str(library.folder()) not in answer.text


def test_a_voice_has_to_be_named(http: httpx2.Client) -> None:
    answer = http.post("/v1/audio/speech", json={"input": "Yes."})
    assert answer.status_code == 400
    assert "no voice is named; upload one" in answer.json()["error"]["message"]


def test_a_name_that_stands_for_another_voice_is_taken(
    cloning: Served, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked for it would hear the other."""
    monkeypatch.setattr(cloning.service.voices, "_aliases", {"alloy": "anna", "anna": "anna"})
    assert upload(http, "Anna").status_code == 200
    answer = upload(http, "Alloy", replace="true")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")
    assert "'Alloy' is a name for 'anna' here" in answer.json()["error"]["message"]
    assert library.names() == ["Anna"]


def test_an_error_names_some_of_many_voices(
    cloning: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"voice-{number:03}" for number in range(1000)]
    monkeypatch.setattr(library, "names", lambda: names)
    with pytest.raises(InputError) as unknown:
        cloning.service.voices.find("nobody")
    some = ", ".join(names[:20])
    assert unknown.value.remedy == f"there are: {some} and 980 more at /v1/audio/voices"


def test_a_bundle_that_designs_voices_says_what_can_be_done_from_here(
    tiny_bundle: Callable[..., Path],
) -> None:
    with (
        serving(Settings(bundle=tiny_bundle("voice_design"), slots=1)) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        for asked, param, says in (
            ({"speaker_embedding": [1.0]}, "speaker_embedding", "does not clone voices"),
            ({"instructions": "calm " * 9000}, "input", "; send less at once"),
        ):
            answer = http.post("/v1/audio/speech", json={"input": "Yes.", **asked})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
            assert says in answer.json()["error"]["message"]
            assert "--" not in answer.text


@pytest.mark.usefixtures("kept_by_another_bundle")
def test_a_bundle_that_does_not_clone(served: Served) -> None:
    with httpx2.Client(base_url=served.url) as http:
        assert [each["id"] for each in http.get("/v1/audio/voices").json()["voices"]] == [
            "heart",
            "low",
        ]
        for name in ("anna", "../anna"):  # whatever it is called
            answer = upload(http, name)
            assert answer.status_code == 400
            assert "does not clone voices" in answer.json()["error"]["message"]
        assert http.delete("/v1/audio/voices/heart").status_code == 404
