"""Requests that no client sends: bytes by chance, and good requests with something broken."""

import base64
import functools
import io
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile

_FIELDS = (
    "input", "model", "voice", "instructions", "response_format", "speed", "stream_format",
    "speaker", "stream", "sample_rate", "task_type", "language", "ref_audio", "ref_text",
    "x_vector_only_mode", "speaker_embedding", "max_new_tokens", "seed", "temperature", "top_k",
    "initial_codec_chunk_frames", "non_streaming_mode", "word_timestamps", "do_sample", "top_p",
    "repetition_penalty", "subtalker_dosample", "subtalker_temperature", "subtalker_top_k",
)  # fmt: skip

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 1e-300, 1e300, float("nan"),
    float("inf"), -0.0, "", " ", "x", "\0", "\ud800", "\u202e", "🎈" * 50, "mp3", "pcm", "heart",
    "sse", "English", "<|im_end|>", "../../etc/passwd", "file:///etc/passwd", "data:,",
    "data:;base64,", "UklGRg==", [], {}, [1.0], [None], {"id": 1}, {"id": "heart"}, {"id": {}},
    [[]] * 30,
)  # fmt: skip

_PATHS = (
    "/v1/audio/speech", "/v1/audio/voices", "/v1/audio/voices/x", "/v1/models", "/health", "/",
    "/v1/audio/speech/", "//", "/%00", "/%ff", "/v1/audio/voices/%2e%2e%2fx", "/?" + "x" * 5000,
    "*", "http://elsewhere/", "/v1/models/" + "a" * 3000,
)  # fmt: skip

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "X")


def request(chance: random.Random) -> tuple[bytes, bool]:
    """Make the next one; those that could be spoken say two frames.

    Returns:
        Its bytes, and whether it is one whole request, however wrong, that an answer is due to.
    """
    kind = chance.choice(_KINDS)
    return kind(chance), kind not in _IN_PARTS


def _json(chance: random.Random) -> bytes:
    """A body of JSON with fields of any kind."""
    body: dict[str, Any] = {"input": "Yes.", "max_new_tokens": 2}
    for _ in range(chance.randint(1, 3)):
        body[chance.choice(_FIELDS)] = chance.choice(_VALUES)
    if body.get("max_new_tokens") not in (2, None, 0, -1, 1):
        body["max_new_tokens"] = 2
    return _post(json.dumps(body).encode())


def _broken_json(chance: random.Random) -> bytes:
    """A body that is cut or has bytes of its own."""
    body = bytearray(json.dumps({"input": "Yes.", "max_new_tokens": 2}).encode())
    for _ in range(chance.randint(1, 6)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return _post(bytes(body[: chance.randint(0, len(body))]))


def _deep(chance: random.Random) -> bytes:
    depth = chance.choice((10, 1000, 100_000))
    return _post(chance.choice((b'{"input":', b"[")) * depth)


def _line(chance: random.Random) -> bytes:
    """Another method or path, with or without a body."""
    head = f"{chance.choice(_METHODS)} {chance.choice(_PATHS)} HTTP/1.{chance.choice('0123')}\r\n"
    return head.encode() + b"host: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"


def _sizes(chance: random.Random) -> bytes:
    """A length that is not the body's."""
    body = b'{"input": "Yes.", "max_new_tokens": 2}'
    said = chance.choice((b"0", b"-1", b"1", b"10000", b"99999999999999999999", b"x", b"1, 2", b""))
    more = chance.choice((b"", b"transfer-encoding: chunked\r\n"))
    head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    return head + more + b"content-length: " + said + b"\r\n\r\n" + body


def _chunks(chance: random.Random) -> bytes:
    """Chunks whose sizes are no sizes, or that end in the middle."""
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    size = chance.choice((b"2", b"zz", b"-2", b"ffffffffffffffff", b"5", b"", b"2;x=" + b"y" * 999))
    return head + size + b"\r\n{}\r\n" + chance.choice((b"0\r\n\r\n", b"0", b""))


def _headers(chance: random.Random) -> bytes:
    """Headers by chance."""
    lines = [b"host: x", b"content-type: application/json", b"content-length: 2"]
    for _ in range(chance.randint(1, 4)):
        name = chance.choice(
            (b"authorization", b"x-api-key", b"content-type", b"expect", b"x-request-id", b"range",
             b"cookie", b"origin", b"connection", b"upgrade", b"accept", b"", b"a b", b"\xff")
        )  # fmt: skip
        value = bytes(chance.choices(range(256), k=chance.choice((0, 1, 20, 9000))))
        lines.append(name + b": " + value)
    chance.shuffle(lines)
    return b"POST /v1/audio/speech HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n{}"


def _multipart(chance: random.Random) -> bytes:
    """An upload that is broken somewhere."""
    parts = b"".join(
        b'--b\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        % (
            chance.choice((b"name", b"consent", b"audio_sample", b"ref_text", b"", b"x" * 300)),
            chance.choice((b"", b'; filename="a.wav"', b'; filename="../../a"', b"; filename*=x")),
            chance.choice((b"", b"x", b"../up", b"\xff\xfe", b"RIFF$\0\0\0WAVEfmt ", b"y" * 5000)),
        )
        for _ in range(chance.randint(0, 5))
    )
    body = bytearray(parts + chance.choice((b"--b--\r\n", b"--b", b"")))
    if body and chance.random() < 0.5:
        body[chance.randrange(len(body))] = chance.randrange(256)
    kind = chance.choice(
        (b"multipart/form-data; boundary=b", b"multipart/form-data", b"multipart/x")
    )
    return _post(bytes(body), b"/v1/audio/voices", kind)


def _recording(chance: random.Random) -> bytes:
    """A sound file with broken bytes, half of them in its header."""
    data = bytearray(_sound(chance.choice(("WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "W64"))))
    for _ in range(chance.randint(0, 8)):
        data[chance.randrange(chance.choice((60, len(data))))] = chance.randrange(256)
    data = data[: chance.choice((len(data), chance.randrange(len(data))))]
    body = {"input": "Yes.", "max_new_tokens": 2, "ref_audio": base64.b64encode(data).decode()}
    return _post(json.dumps(body).encode())


@functools.cache
def _sound(form: str) -> bytes:
    at = np.arange(24000) / 24000
    file = io.BytesIO()
    soundfile.write(file, 0.2 * np.sin(800 * at) * np.sin(20 * at), 24000, format=form)
    return file.getvalue()


def _noise(chance: random.Random) -> bytes:
    return bytes(chance.choices(range(256), k=chance.randint(0, 400)))


def _post(
    body: bytes, path: bytes = b"/v1/audio/speech", kind: bytes = b"application/json"
) -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: %b\r\n"
    return head % (path, kind) + b"content-length: %d\r\n\r\n" % len(body) + body


_KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    _json, _json, _json, _broken_json, _deep, _line, _sizes, _chunks, _headers, _multipart,
    _recording, _noise,
)  # fmt: skip
_IN_PARTS = (_sizes, _chunks, _headers, _noise)
