"""Openings that were read before: what prompts of one voice, language and instruction share."""

from collections import OrderedDict

from qwen3_tts_edge.backends import State
from qwen3_tts_edge.bundle.manifest import SamplingDefaults
from qwen3_tts_edge.speech.prompt import Prompt
from qwen3_tts_edge.speech.slots import Slots


class Openings:
    """Keeps the openings that were used last, together no longer than one slot's KV cache.

    An opening is always read by itself, whether it is kept or not: a prompt that is read in other
    pieces may differ in the last bit.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._kept: OrderedDict[bytes, tuple[State, int]] = OrderedDict()

    def known(self, prompt: Prompt) -> bool:
        """Whether a prompt's opening need not be read."""
        return _key(prompt) in self._kept

    def of(self, prompt: Prompt, settings: SamplingDefaults) -> tuple[State, int]:
        """Give a prompt's opening, read, and its rows; a slot must be free to read it."""
        rows, key = prompt.rows[: prompt.opening], _key(prompt)
        found = self._kept.pop(key, None) or (self._slots.open(rows, settings), len(rows))
        self._kept[key] = found
        while sum(count for _, count in self._kept.values()) > self._slots.capacity:
            self._kept.popitem(last=False)
        return found


def _key(prompt: Prompt) -> bytes:
    return prompt.rows[: prompt.opening].tobytes()
