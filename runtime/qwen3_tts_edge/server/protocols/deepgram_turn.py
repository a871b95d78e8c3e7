"""A turn of Deepgram's Flux: one answer of an agent, from its first text to its metadata.

Source: https://developers.deepgram.com/reference/text-to-speech/speak-flux
"""

import secrets
from typing import Any

from qwen3_tts_edge.server.sockets.context import Message

_CONTROLS = dict.fromkeys(("pronunciations_applied", "breaks_applied", "pronunciation_warnings"), 0)


class Turn:
    """One answer of an agent.

    Attributes:
        characters: Of its text, so far.
        duration: Of its sound, so far, in ms.
        flushed: Whether it has all of its text.
    """

    def __init__(self) -> None:
        self.characters, self.duration, self.flushed = 0, 0.0, False
        self._name = {"speech_id": f"dg_sp_{secrets.token_hex(6)}"}
        self._begun = False

    def begin(self) -> list[Message]:
        """Tell that it begins, once."""
        begun, self._begun = self._begun, True
        return [] if begun else [{"type": "SpeechStarted", **self._name}]

    def end(self) -> list[Message]:
        """Tell that all of it was spoken; some wait for the first of the two, most for the last."""
        flushed = {"type": "Flushed", **self._name}
        return [*self.begin(), flushed, {"type": "SpeechMetadata", **self.told()}]

    def told(self) -> dict[str, Any]:
        """Tell what it was."""
        return {
            **self._name,
            "audio_duration_ms": round(self.duration),
            "input_character_count": self.characters,
            "billable_character_count": self.characters,
            "controls_applied": _CONTROLS,
        }
