"""Two replicas on this machine, streamed through. It takes 40 s, 1.1 GB and Ray."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason='Ray is not installed: pip install "qwen3-tts-edge[ray]"')
pytest.importorskip("openai")
pytestmark = pytest.mark.slow

TEXTS = [f"Line {number}, if you please." for number in ("one", "two", "three", "four")]


@pytest.fixture(scope="module")
def url(voice_bundle: Path) -> Iterator[str]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import serve

    from qwen3_tts_edge.server.ray_app import deployment
    from qwen3_tts_edge.server.settings import Settings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    settings = Settings(bundle=voice_bundle, threads=1, slots=2, queue=0, queue_seconds=0.1)
    serve.run(deployment(settings, replicas=2, cpus=0.5))
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


def test_replicas_speak_what_the_synthesizer_speaks(url: str) -> None:
    import openai

    from server.reference import spoken

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=8)

    def heard(text: str) -> bytes:
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="heart", input=text, response_format="pcm",
            extra_body={"seed": 5},
        ) as answer:  # fmt: skip
            return b"".join(answer.iter_bytes())

    with ThreadPoolExecutor(4) as several:
        for text, found in zip(TEXTS, several.map(heard, TEXTS), strict=True):
            # A replica has one thread: its float32 samples differ by 1e-6, and their last bit may.
            right, near = (
                np.frombuffer(data, "<i2").astype(int) for data in (spoken(text, seed=5), found)
            )
            assert len(right) == len(near)
            assert abs(right - near).max() <= 1


def test_what_cannot_be_taken_is_refused_in_the_usual_shape(url: str) -> None:
    """Ray itself would answer in plain text."""
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    def answered(_: int) -> tuple[int, str | None, bool]:
        try:
            client.audio.speech.create(model="tts-1", voice="heart", input=" ".join(TEXTS * 5))
        except openai.APIStatusError as error:
            return error.status_code, error.code, "retry-after" in error.response.headers
        return 200, None, False

    with ThreadPoolExecutor(12) as several:
        found = set(several.map(answered, range(12)))
    assert found == {(200, None, False), (503, "overloaded", True)}
