"""How codes are chosen: the settings, and the draws that make a seed mean the same speech.

Choosing itself happens inside the frame graph; here are only its inputs.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.random import Philox
from typing_extensions import Self

from qwen3_tts_edge.arrays import is_number, is_whole
from qwen3_tts_edge.bundle.manifest import SamplingDefaults
from qwen3_tts_edge.errors import InputError

MIN_FRAMES = 2
"""End of speech is banned before this many frames, as in the official generate()."""

_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""What graphs read as a number above 0: less is 0 there, and more is endless."""

_SWITCHES = {
    "temperature": "do_sample",
    "top_p": "do_sample",
    "subtalker_temperature": "subtalker_dosample",
    "subtalker_top_p": "subtalker_dosample",
}
"""What greedy decoding does not read, and which setting makes it greedy."""


@dataclass(frozen=True)
class Sampling:
    """Sampling settings by their official names; None takes the checkpoint's own default.

    The plain names steer codebook 0 (the talker), `subtalker_*` the other codebooks (the code
    predictor). `do_sample=False` and `subtalker_dosample=False` are greedy decoding; a temperature
    or top_p that stands beside one of them chooses nothing, and may be 0.

    Raises:
        InputError: A value is outside its range.
    """

    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    subtalker_dosample: bool | None = None
    subtalker_temperature: float | None = None
    subtalker_top_k: int | None = None
    subtalker_top_p: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "subtalker_temperature", "repetition_penalty"):
            expected = "a number above 0, in float32"
            self._check(name, lambda x: _LEAST <= x <= _MOST, expected)
        for name in ("top_p", "subtalker_top_p"):
            expected = "a number above 0 and at most 1, in float32"
            self._check(name, lambda x: _LEAST <= x <= 1, expected)
        for name in ("top_k", "subtalker_top_k"):
            _check_count(name, getattr(self, name))
        for name in ("do_sample", "subtalker_dosample"):
            if not isinstance(value := getattr(self, name), bool | None):
                raise InputError.of(name, value, "True or False")

    @classmethod
    def greedy(cls) -> Self:
        """The most likely code everywhere: for tests, not for listening."""
        return cls(do_sample=False, subtalker_dosample=False)

    def over(self, defaults: SamplingDefaults) -> SamplingDefaults:
        """Complete these settings with the checkpoint's defaults where nothing was asked for."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {
            name: value
            for name, value in asked.items()
            if value is not None and not self._chooses_nothing(name)
        }
        return msgspec.structs.replace(defaults, **given)

    def _check(self, name: str, is_valid: Callable[[float], bool], expected: str) -> None:
        number: object = getattr(self, name)  # of any type: callers need not check theirs
        if number is None or self._chooses_nothing(name):
            return
        if not (is_number(number) and is_valid(float(number))):
            remedy = None
            if (
                is_number(number)
                and number == 0
                and (sampled := _SWITCHES.get(name))
                and name.endswith("temperature")
            ):
                remedy = f"for the likeliest code always, set {sampled} to false"
            raise InputError.of(name, number, expected, remedy)

    def _chooses_nothing(self, name: str) -> bool:
        """Tell whether a setting is a 0 that greedy decoding does not read."""
        value: object = getattr(self, name)
        if name not in _SWITCHES or getattr(self, _SWITCHES[name]) is not False:
            return False
        return is_number(value) and value == 0


def inputs(
    settings: SamplingDefaults, vocab_size: int, codebook_size: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Make the frame graph's inputs for one slot: the talker's setting, then the predictor's.

    Args:
        settings: Complete, from `Sampling.over`.
        vocab_size: The talker's codes.
        codebook_size: The predictor's.

    Returns:
        temperature and top_p float32 (1, 2), top_k int64 (1, 2), repetition_penalty (1,).
    """
    # Greedy is top-k 1. Top-k 0, "off", keeps the whole vocabulary.
    top_k = [
        (settings.top_k or vocab_size) if settings.do_sample else 1,
        (settings.subtalker_top_k or codebook_size) if settings.subtalker_dosample else 1,
    ]
    top_k = [min(top_k[0], vocab_size), min(top_k[1], codebook_size)]
    temperature = [settings.temperature, settings.subtalker_temperature]
    return {
        "temperature": np.array([temperature], np.float32),
        "top_k": np.array([top_k], np.int64),
        "top_p": np.array([[settings.top_p, settings.subtalker_top_p]], np.float32),
        "repetition_penalty": np.array([settings.repetition_penalty], np.float32),
    }


def ranks(
    top_k: npt.NDArray[np.generic], vocab_size: int, codebook_size: int
) -> dict[str, npt.NDArray[np.int64]]:
    """The frame graph's inputs by whose size it knows how many codes to sort out.

    The next power of two, or all: a captured graph is for one size, and so there are few of them.

    Args:
        top_k: int64 (slots, 2), of all that speak at once.
        vocab_size: The talker's codes.
        codebook_size: The predictor's.

    Returns:
        int64, 0 to the largest top_k of the talker or beyond, and of the predictor.
    """
    talker, predictor = (1 << (int(k) - 1).bit_length() for k in top_k.max(axis=0))
    return {
        "talker_ranks": np.arange(min(talker, vocab_size)),
        "predictor_ranks": np.arange(min(predictor, codebook_size)),
    }


def draws(seed: int, frame: int, codebooks: int) -> npt.NDArray[np.float32]:
    """The random numbers of one frame: a function of seed, frame and codebook and nothing else.

    A counter-based generator needs no history, so a frame's draws do not depend on the batch
    slot, the chunking or what was spoken before.

    Args:
        seed: 0 to 2**64 - 1.
        frame: Counted from the start of the utterance.
        codebooks: How many.

    Returns:
        float32 (codebooks,) in [0, 1), with 24 random bits each.
    """
    bits = _counted.bits(seed, frame, codebooks)
    numbers: npt.NDArray[np.float32] = ((bits >> np.uint64(40)) * 2.0**-24).astype(np.float32)
    return numbers


class _Counted(threading.local):
    """A generator for each thread, set to where a frame's numbers begin: to make one takes long."""

    def __init__(self) -> None:
        self._generator = Philox(key=0)
        self._state = self._generator.state

    def bits(self, key: int, counter: int, count: int) -> npt.NDArray[np.uint64]:
        """What `Philox(key=key, counter=counter << 64)` draws first."""
        self._state["state"]["key"][0] = key
        self._state["state"]["counter"][:] = 0, counter, 0, 0
        self._generator.state = self._state
        return self._generator.random_raw(count)


_counted = _Counted()


def _check_count(name: str, value: int | None) -> None:
    number: object = value
    if number is not None and not (is_whole(number) and number >= 0):
        raise InputError.of(name, number, "a whole number, 0 (keep all codes) or more")
