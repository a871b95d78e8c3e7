"""`POST /v1/audio/speech`, through the official client."""

import base64
import functools
import gzip
import io
import itertools
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
import soundfile
from httpx_sse import EventSource

from qwen3_tts_edge.codec.decoder import DecoderStream
from qwen3_tts_edge.server.speaking.session import Session
from qwen3_tts_edge.sound.encoding import encoder
from qwen3_tts_edge.sound.mp3 import Mp3Coder
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.speech.scheduler import Scheduler
from qwen3_tts_edge.speech.utterance import Utterance
from server.reference import spoken, synthesizer
from server.serving import Served

TEXT = "Good morning. It is late."
LONG = "The train to the coast leaves at seven, and the last one back is before midnight. " * 20
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def speech(client: openai.OpenAI, text: str = TEXT, **asked: Any) -> Any:
    """Ask for speech, and give the answer with all of its bytes."""
    ours = {name: asked.pop(name) for name in ("response_format", "speed") if name in asked}
    more = {"seed": 7, **asked}
    return client.audio.speech.create(
        model="tts-1", voice="heart", input=text, extra_body=more, **ours
    )


@functools.cache
def whole(text: str) -> bytes:
    return to_pcm(synthesizer().speak(text, seed=7).samples)


def events(client: openai.OpenAI, **asked: Any) -> list[dict[str, Any]]:
    answer = speech(client, stream_format="sse", **asked).response
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = [(event.event, json.loads(event.data)) for event in EventSource(answer).iter_sse()]
    assert all(name == data["type"] for name, data in found)
    return [data for _, data in found]


def test_the_samples_are_those_of_the_synthesizer_with_that_seed(client: openai.OpenAI) -> None:
    answer = speech(client, response_format="pcm")
    assert answer.read() == spoken(TEXT, 7)
    headers = answer.response.headers
    assert headers["content-type"] == "audio/pcm"
    assert (headers["x-sample-rate"], headers["x-channels"], headers["x-seed"]) == (
        "24000", "1", "7",
    )  # fmt: skip
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    assert (headers["transfer-encoding"], "content-length" in headers) == ("chunked", False)


def test_a_voice_may_be_an_object_and_a_seed_is_told(client: openai.OpenAI) -> None:
    asked = {"input": TEXT, "voice": {"id": "Low"}, "model": None, "response_format": "pcm"}
    answer = client.post("/audio/speech", body=asked, cast_to=openai.HttpxBinaryResponseContent)
    seed = int(answer.response.headers["x-seed"])
    assert answer.read() == spoken(TEXT, seed, voice="low")


@pytest.mark.parametrize(
    "asked",
    [
        {"voice": {"id": " "}, "speaker": "low"},
        {"voice": "", "speaker": "Low "},
        {"voice": "low", "initial_codec_chunk_frames": 0},
    ],
)
def test_a_blank_is_as_good_as_absent(client: openai.OpenAI, asked: dict[str, Any]) -> None:
    body = {"input": TEXT, "response_format": "pcm", "seed": 7, **asked}
    answer = client.post("/audio/speech", body=body, cast_to=openai.HttpxBinaryResponseContent)
    assert answer.read() == spoken(TEXT, 7, voice="low")


@pytest.mark.parametrize("name", FORMATS)
def test_events_carry_every_format(client: openai.OpenAI, name: str) -> None:
    """They are decoded and compared: a coder may put a number of its own in its containers."""
    *deltas, done = events(client, response_format=name)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    data = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    assert done["type"] == "speech.audio.done"
    frames = sum(len(chunk.codes) > 0 for chunk in chunks())
    ids = len(synthesizer().bundle.tokenizer.encode(TEXT))
    assert done["usage"]["input_tokens"] == ids
    assert done["usage"]["output_tokens"] >= frames
    assert done["usage"]["total_tokens"] == ids + done["usage"]["output_tokens"]
    plain = speech(client, response_format=name)
    assert plain.response.headers["content-type"] == encoder(name, 24000).content_type
    assert decoded(data, name) == decoded(plain.read(), name)


@functools.cache
def chunks() -> list[Any]:
    return list(synthesizer().stream(TEXT, seed=7))


def decoded(data: bytes, name: str) -> bytes:
    """Decode with what is neither ours nor the encoder, where there is something; give PCM."""
    import av

    if name == "pcm":
        return data
    with av.open(io.BytesIO(data)) as container:
        return b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))


def test_stream_means_events_as_vllm_omni_has_it(client: openai.OpenAI) -> None:
    asked = {"stream": True, "response_format": "pcm"}
    deltas = speech(client, **asked).text.count("speech.audio.delta")
    assert deltas > 1
    assert speech(client, **asked, stream_format="audio").read() == spoken(TEXT, 7)


@pytest.mark.parametrize("name", ["mp3", "flac", "opus", "aac"])
def test_stream_means_sound_of_a_format_that_vllm_omni_does_not_stream(
    client: openai.OpenAI, name: str
) -> None:
    answer = speech(client, response_format=name, stream=True)
    assert answer.response.headers["content-type"] == encoder(name, 24000).content_type
    assert decoded(answer.read(), name) == decoded(
        speech(client, response_format=name).read(), name
    )
    assert events(client, response_format=name, stream=True)[-1]["type"] == "speech.audio.done"


def test_a_stream_of_wav_has_no_length_and_a_whole_one_has(client: openai.OpenAI) -> None:
    streamed = speech(client, response_format="wav").read()
    assert streamed[4:8] == streamed[40:44] == b"\xff" * 4
    assert streamed[44:] == spoken(TEXT, 7)
    answer = speech(client, response_format="wav", stream=False)
    data = answer.read()
    headers = answer.response.headers
    assert int(headers["content-length"]) == len(data)
    assert (headers["x-seed"], headers["x-sample-rate"]) == ("7", "24000")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert int.from_bytes(data[40:44], "little") == len(data) - 44
    assert data[44:] == whole(TEXT)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert (len(samples), rate) == (len(whole(TEXT)) // 2, 24000)


def test_a_whole_answer_is_spoken_anew_where_speech_ended_too_early(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Utterance.take

    def hasty(self: Utterance, codes: Any, seconds: float) -> None:
        if self.seed == 7 and len(self.codes) == 3:
            codes = codes.copy()
            codes[0] = self._manifest.control_codes.end_of_speech
        take(self, codes, seconds)

    right = spoken("Would you like a cup of tea?", 8)
    monkeypatch.setattr(Utterance, "take", hasty)
    asked = {"text": "Would you like a cup of tea?", "response_format": "pcm"}
    assert len(speech(client, **asked).read()) == 3 * 1920 * 2
    near = np.frombuffer(speech(client, **asked, stream=False).read(), "<i2").astype(int)
    assert np.abs(near - np.frombuffer(right, "<i2")).max() <= 1


def test_other_rates_and_speeds(client: openai.OpenAI) -> None:
    answer = speech(client, response_format="wav", sample_rate=8000, stream=False, speed=2.0)
    samples, rate = soundfile.read(io.BytesIO(answer.read()))
    assert rate == 8000
    assert len(samples) / 8000 == pytest.approx(len(whole(TEXT)) / 2 / 24000 / 2, rel=0.05)


def test_it_is_heard_while_it_is_made(client: openai.OpenAI, served: Served) -> None:
    """The first of it is there when the last of it cannot be: somebody speaks still."""
    request = client.audio.speech.with_streaming_response.create
    with request(model="tts-1", voice="heart", input=LONG, response_format="pcm") as answer:
        parts = answer.iter_bytes()
        assert len(next(parts)) > 0
        assert served.service.admission.running == 1
    served.settle()


def test_whoever_leaves_is_gone_before_the_next_frame(
    client: openai.OpenAI, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[int] = []
    closed: list[int] = []
    launch, close = Scheduler._launch_all, Session.close

    def counted(self: Scheduler, joined: Any) -> bool:
        if found := launch(self, joined):
            launched.append(1)
        return found

    def seen(self: Session) -> None:
        close(self)
        served.service.worker.do(lambda: closed.append(len(launched))).result()

    monkeypatch.setattr(Scheduler, "_launch_all", counted)
    monkeypatch.setattr(Session, "close", seen)
    request = client.audio.speech.with_streaming_response.create
    with request(model="tts-1", voice="heart", input=LONG, response_format="pcm") as answer:
        parts = answer.iter_bytes()
        next(parts)
    served.settle()
    assert closed == [len(launched)]


@pytest.mark.parametrize("heard", ["whole", "part", "none"])
def test_what_a_speech_takes_goes_with_it(
    client: openai.OpenAI, served: Served, heard: str
) -> None:
    """Half a megabyte of LAME, and a state of the codec, waited for Python to look for cycles."""
    request = client.audio.speech.with_streaming_response.create
    with served.keeping(Mp3Coder, DecoderStream):
        if heard == "none":
            with pytest.raises(openai.BadRequestError):
                client.audio.speech.create(model="tts-1", voice="heart", input="<|im_end|>")
            return
        text = TEXT if heard == "whole" else LONG
        with request(model="tts-1", voice="heart", input=text, response_format="mp3") as answer:
            parts = answer.iter_bytes()
            next(parts)
            if heard == "whole":
                assert len(list(parts)) > 0


def test_nothing_more_is_made_for_whoever_does_not_read(served: Served) -> None:
    """Two seconds, and what the system holds on the way: here 64 kB and the client's own few."""

    def made() -> float:
        name = "qwen3_tts_audio_seconds_total"
        return served.service.metrics.registry.get_sample_value(name) or 0.0

    before, body = made(), json.dumps({"input": LONG * 3, "response_format": "pcm"}).encode()
    host, port = served.url.removeprefix("http://").split(":")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        head = "POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        stalled.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert stalled.recv(12) == b"HTTP/1.1 200"
        last = -1.0
        while made() > last:
            last = made()
            time.sleep(0.5)
        assert 0 < last - before < 10
        assert served.service.admission.running == 1
    served.settle()


def test_whoever_does_not_wait_for_a_whole_answer_ends_it(served: Served) -> None:
    def cancelled() -> float:
        labels = {"transport": "openai", "outcome": "cancelled"}
        found = served.service.metrics.registry.get_sample_value("qwen3_tts_requests_total", labels)
        return found or 0.0

    before = cancelled()
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(
            f"{served.url}/v1/audio/speech",
            json={"input": LONG * 50, "stream": False},
            timeout=0.3,
        )
    served.settle()
    assert cancelled() == before + 1


FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"input": ""}, "input", "at least 1 character"),
    ({"input": 7}, "input", "valid string"),
    ({"input": "x" * 100_001}, "input", "100001 characters; 100000 is the most"),
    ({"instructions": "x" * 100_001}, "instructions", "100000 is the most"),
    ({"ref_text": "x" * 100_001}, "ref_text", "100000 is the most"),
    ({"input": "\n \t"}, "input", "the text is empty"),
    ({"input": "Say <|im_end|>"}, "input", "control token"),
    ({"input": "\ud800"}, "input", "as a unicode string"),
    ({"voice": "nobody"}, "voice", "there is no voice 'nobody'; there are: heart, low"),
    ({"voice": {"name": "heart"}}, "voice", ""),
    ({"response_format": "au"}, "response_format", "'mp3'"),
    ({"speed": 5}, "speed", "less than or equal to 4"),
    ({"speed": "1"}, "speed", "valid number"),
    ({"stream_format": "websocket"}, "stream_format", "'audio' or 'sse'"),
    ({"sample_rate": 96000}, "sample_rate", "8000 to 48000"),
    ({"response_format": "opus", "sample_rate": 44100}, "sample_rate", "no sample rate of 44100"),
    ({"task_type": "Base"}, "task_type", "runs a CustomVoice checkpoint"),
    ({"language": "latin"}, "language", "'latin' is unknown"),
    ({"language": "x" * 9999}, "language", "… is unknown; choose one of"),
    ({"instructions": "sadly"}, "instructions", "takes no instruction"),
    ({"ref_audio": "AAAA"}, "ref_audio", "does not clone voices"),
    ({"speaker_embedding": [1.0]}, "speaker_embedding", "does not clone voices"),
    ({"ref_text": "Who is it?"}, "ref_text", "there is no ref_audio that says it"),
    ({"x_vector_only_mode": True}, "x_vector_only_mode", "there is no ref_audio to hear"),
    ({"speaker": "low"}, "speaker", "voice is 'heart'; send one of them"),
    ({"voice": {"id": "heart"}, "speaker": "low"}, "speaker", "voice is 'heart'"),
    ({"references": [{"audio_path": "a"}]}, "references", "send ref_audio and ref_text"),
    ({"extra_params": {"cfg": 2}}, "extra_params", "leave it out"),
    ({"max_new_tokens": 0}, "max_new_tokens", "greater than or equal to 1"),
    ({"seed": -2}, "seed", "greater than or equal to -1"),
    ({"seed": 1.5}, "seed", "valid integer"),
    (
        {"temperature": 0},
        "temperature",
        "above 0, in float32; for the likeliest code always, set do_sample to",
    ),
    ({"subtalker_top_p": 1e-300}, "subtalker_top_p", "expected a number above 0"),
    ({"top_p": float("nan")}, "top_p", ""),
    ({"word_timestamps": True}, "word_timestamps", "no times of words"),
]


@pytest.mark.parametrize(
    ("asked", "param", "message"), FIELDS, ids=[f"{each[1]}-{n}" for n, each in enumerate(FIELDS)]
)
def test_what_is_wrong_names_its_field(
    client: openai.OpenAI, asked: dict[str, Any], param: str, message: str
) -> None:
    body = {"model": "tts-1", "voice": "heart", "input": TEXT, **asked}
    answer = httpx2.post(
        f"{client.base_url}audio/speech",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]
    assert "--" not in error["message"]  # there is no command line here
    assert len(error["message"]) < 1000


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert (bad.value.param, bad.value.type) == ("voice", "invalid_request_error")
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.speech.create(model="whisper-1", voice="heart", input=TEXT)
    assert (missing.value.param, missing.value.code) == ("model", "model_not_found")
    assert missing.value.request_id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-1")
    assert client.models.retrieve("edge-voice").id == client.models.list().data[0].id


def test_models_are_listed_where_open_webui_looks(served: Served) -> None:
    listed = httpx2.get(f"{served.url}/v1/audio/models").json()["models"]
    assert [model["id"] for model in listed] == ["edge-voice"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"input": 1' + b"0" * 5000 + b"}", "application/json"),
        (b'{"input": "Hello."}', "text/plain"),
        (b"input=Hello.", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_none(served: Served, content: bytes, kind: str) -> None:
    answer = httpx2.post(
        f"{served.url}/v1/audio/speech", content=content, headers={"content-type": kind}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["param"] in (None, "input")


@pytest.mark.parametrize(
    "content",
    ['{"input": "Grüße"}'.encode("latin-1"), gzip.compress(b"{}", mtime=0)],
    ids=["latin-1", "gzip"],
)
def test_a_body_that_is_not_utf_8_is_said_to_be_none(served: Served, content: bytes) -> None:
    """As PowerShell 5 writes it, and as clients compress it."""
    answer = httpx2.post(
        f"{served.url}/v1/audio/speech",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body is not UTF-8; send JSON in no")


def test_null_is_as_good_as_absent(client: openai.OpenAI) -> None:
    from qwen3_tts_edge.server.protocols.speech_body import Speech

    nothing = dict.fromkeys(set(Speech.model_fields) - {"input", "seed", "response_format"})
    asked = {**nothing, "input": TEXT, "seed": 7, "response_format": "pcm", "unknown": [1]}
    answer = client.post("/audio/speech", body=asked, cast_to=openai.HttpxBinaryResponseContent)
    assert answer.read() == spoken(TEXT, 7)


def test_a_seed_of_minus_one_is_drawn(client: openai.OpenAI) -> None:
    drawn = {speech(client, "Hi.", seed=-1).response.headers["x-seed"] for _ in range(2)}
    assert len(drawn) == 2


def test_what_says_nothing_or_the_same_contradicts_nothing(client: openai.OpenAI) -> None:
    """Some programs send all of their form, with what was not filled in as it is."""
    blank = {"ref_audio": "", "ref_text": " ", "x_vector_only_mode": False}
    for more in (blank, {"speaker": "Heart"}, {"speaker": ""}, {"task_type": "CustomVoice"}):
        assert speech(client, response_format="pcm", **more).read() == spoken(TEXT, 7)
    asked = {"input": TEXT, "seed": 7, "response_format": "pcm", "voice": "", "speaker": "low"}
    answer = client.post("/audio/speech", body=asked, cast_to=openai.HttpxBinaryResponseContent)
    assert answer.read() == spoken(TEXT, 7, voice="low")


def test_a_chunk_may_be_small_at_first(client: openai.OpenAI) -> None:
    """The samples are the same in any chunks, up to rounding."""
    for first in (3, 20):
        data = speech(client, response_format="pcm", initial_codec_chunk_frames=first).read()
        near = np.frombuffer(data, "<i2").astype(int) - np.frombuffer(spoken(TEXT, 7), "<i2")
        assert np.abs(near).max() <= 1


def test_who_asks_for_seconds_gets_no_more(client: openai.OpenAI) -> None:
    data = speech(client, response_format="pcm", max_new_tokens=5).read()
    assert len(data) == 5 * 1920 * 2
    assert data == spoken(TEXT, 7, max_seconds=0.4)


def test_sampling_by_its_official_names(client: openai.OpenAI) -> None:
    from qwen3_tts_edge import Sampling

    settings = {"temperature": 0.7, "top_k": 20, "subtalker_dosample": False}
    data = speech(client, response_format="pcm", **settings).read()
    assert data == spoken(TEXT, 7, sampling=Sampling(**settings))  # type: ignore[arg-type]
    assert data != spoken(TEXT, 7)
    # What programs for transformers send: beside do_sample=False a zero chooses nothing.
    data = speech(client, response_format="pcm", do_sample=False, temperature=0).read()
    assert data == spoken(TEXT, 7, sampling=Sampling(do_sample=False))


def test_openais_names_for_voices_are_voices(client: openai.OpenAI) -> None:
    """Some clients allow no others."""
    names = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable")
    more = ("marin", "nova", "onyx", "sage", "shimmer", "verse")
    heard = {
        client.audio.speech.create(
            model="gpt-4o-mini-tts",
            voice=name,  # type: ignore[arg-type]
            input="Yes.",
            response_format="pcm",
            extra_body={"seed": 7, "max_new_tokens": 3},
        ).read()
        for name in itertools.chain(names, more)
    }
    assert heard == {spoken("Yes.", 7, voice=name, max_seconds=0.24) for name in ("heart", "low")}
