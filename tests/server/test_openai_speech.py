"""`POST /v1/audio/speech`, through the official client."""

import openai
import pytest

from server.reference import spoken
from server.serving import Served

TEXT = "Good morning."


@pytest.fixture
def client(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="any")


def test_pcm_is_what_the_synthesizer_speaks_with_that_seed(client: openai.OpenAI) -> None:
    answer = client.audio.speech.create(
        model="tts-1",
        voice="heart",
        input=TEXT,
        response_format="pcm",
        extra_body={"seed": 7},
    )
    assert answer.read() == spoken(TEXT, 7)
