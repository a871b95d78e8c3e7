"""Sampling defaults: what generation_config.json says, and what it means by nothing and by zero."""

from typing import Any

import pytest

from qwen3_tts_edge.errors import CheckpointError
from qwen3_tts_export.checkpoint.generation import GenerationConfig, parse_generation


def test_generation_settings_left_out_take_the_official_defaults() -> None:
    assert parse_generation({}) == GenerationConfig(
        do_sample=True,
        temperature=0.9,
        top_k=50,
        top_p=1.0,
        repetition_penalty=1.05,
        subtalker_dosample=True,
        subtalker_temperature=0.9,
        subtalker_top_k=50,
        subtalker_top_p=1.0,
        max_new_tokens=2048,
    )
    given = parse_generation({"max_new_tokens": 8192, "temperature": 1, "do_sample": False})
    assert (given.max_new_tokens, given.temperature, given.do_sample) == (8192, 1.0, False)
    assert given.top_k == 50


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("top_k", 0.5),
        ("do_sample", 1),
        ("temperature", "hot"),
        ("top_k", -1),
        ("top_p", 1.5),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", 1e-50),  # which is 0 in float32
        ("temperature", 1e300),
        ("top_p", 1e-50),
        ("top_k", 1 << 40),  # more than a manifest may say
        ("temperature", float("inf")),
        ("repetition_penalty", 0),
        ("repetition_penalty", float("inf")),
        ("max_new_tokens", 1),
        ("max_new_tokens", -1),
    ],
)
def test_a_generation_setting_that_cannot_be_is_refused(key: str, value: Any) -> None:
    with pytest.raises(CheckpointError, match=rf"generation_config\.json: {key} is"):
        parse_generation({key: value})


def test_null_is_the_default() -> None:
    nothing = dict.fromkeys(GenerationConfig.__struct_fields__[:-1])
    assert parse_generation(nothing) == GenerationConfig()


def test_a_whole_number_may_be_written_as_a_float() -> None:
    given = parse_generation({"top_k": 50.0, "subtalker_top_k": 0.0, "max_new_tokens": 4096.0})
    assert (given.top_k, given.subtalker_top_k, given.max_new_tokens) == (50, 0, 4096)


@pytest.mark.parametrize("zero", [0, 0.0])
@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_a_zero_that_leaves_one_code_is_greedy(name: str, zero: float) -> None:
    assert parse_generation({name: zero}) == GenerationConfig(do_sample=False)
    assert parse_generation({"do_sample": False, name: zero}) == GenerationConfig(do_sample=False)
    below = parse_generation({f"subtalker_{name}": zero})
    assert below == GenerationConfig(subtalker_dosample=False)
