"""What may be asked for is checked where it is asked for, and the message says what it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwen3_tts_edge import InputError, Qwen3TTSError, Request, Sampling, Synthesizer, Voice

TEXT = "Hi."


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"text": 5}, "text is a int; expected a string"),
        ({"text": b"Hi."}, "text is a bytes; expected a string"),
        ({"text": {"text": "Hi."}}, "text is a dict; expected a string"),
        ({"text": Path("a.txt")}, r"text is a \w*Path; expected a string"),
        ({"text": np.array(["Hi."])}, "text is a ndarray; expected a string"),
        ({"text": np.array("Hi.")}, "text is a ndarray; expected a string"),
        ({"voice": "heart"}, r"voice is a str; expected a Voice; use Voice\.speaker\(.name.\)"),
        ({"sampling": {"top_k": 5}}, r"sampling is a dict; .*; use Sampling\(temperature=0\.7\)"),
        ({"language": 5}, "language is a int; expected a name; use 'auto' for any"),
        ({"instruct": 5}, "instruct is a int; expected words"),
        ({"max_seconds": "5"}, "max_seconds is .5.; expected a number of seconds"),
        ({"max_seconds": 10**400}, "max_seconds is 10{50,}.*; expected a number of seconds"),
        ({"seed": "7"}, "seed is '7'; it must be a whole number"),
        ({"seed": 7.0}, r"seed is 7\.0; it must be a whole number"),
        ({"seed": np.array([7, 8])}, r"seed is array\(\[7, 8\]\); it must be a whole number"),
        ({"seed": True}, "seed is True; it must be a whole number"),
        ({"seed": -2}, r"seed is -2; it must be from 0 to 2\*\*64 - 1"),
        ({"seed": 2**64}, r"seed is 18446744073709551616; it must be from 0"),
        ({"seed": 10**5000}, "seed is a int that cannot be written; it must be from 0"),
    ],
)
def test_what_is_of_another_type(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Request(**{"text": TEXT, **asked})
    assert isinstance(caught.value, Qwen3TTSError)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    request = Request(TEXT, seed=np.uint64(7), max_seconds=np.float32(1.5))
    assert (request.seed, request.max_seconds) == (7, 1.5)


def test_names_that_are_no_setting() -> None:
    for name in ("chunk_frames", "chunks", "speed"):
        with pytest.raises(TypeError, match=name):
            Request(TEXT, **{name: 1})


def test_a_seed_is_drawn_once_and_one_that_is_there_stays() -> None:
    assert Request(TEXT, seed=0).seeded().seed == 0
    drawn = {Request(TEXT, seed=seed).seeded().seed for seed in (None, -1, np.int8(-1)) * 7}
    assert len(drawn) > 10
    assert all(type(seed) is int and 0 <= seed < 2**32 for seed in drawn)
    once = Request(TEXT).seeded()
    assert once.seeded() is once


def test_what_comes_must_be_text(voice_bundle: Path) -> None:
    tts = Synthesizer.open(voice_bundle, verify=False)
    with pytest.raises(InputError, match="text is a int; expected a string"):
        tts.speak([TEXT, 5])
    with pytest.raises(InputError, match="text is a int; expected a string"):
        list(tts.stream([5]))
    with pytest.raises(InputError, match="text is a NoneType; expected a string"):
        tts.stream(None).feed(None)
    with pytest.raises(InputError, match="the text is empty"):
        tts.speak(None)


def test_equal_requests_are_equal() -> None:
    asked = {"voice": Voice.speaker("heart"), "sampling": Sampling(top_k=5), "seed": 3}
    assert Request(TEXT, **asked) == Request(TEXT, **asked)
    assert Request(TEXT, **asked) != Request(TEXT, **asked, verbatim=True)
