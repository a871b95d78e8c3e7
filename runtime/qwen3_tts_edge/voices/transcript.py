"""Whether what a recording is said to say can be what it says.

An in-context clone of a recording with another's text goes on in noise, without an end.

Source: https://github.com/Blaizzy/mlx-audio/issues/921
"""

import logging

from qwen3_tts_edge.pace import patience, too_short

_log = logging.getLogger(__name__)


def compare(text: str, seconds: float) -> None:
    """Warn, in the log, of a text that takes far longer or far less to say than the recording.

    Args:
        text: What the recording is said to say.
        seconds: How long the recording is.
    """
    if too_short(text, seconds):
        found = "more than can be said in it"
    elif seconds > patience(text):
        found = "a fraction of what is said in it"
    else:
        return
    _log.warning(
        "the reference is %.1f s long and its text, of %d characters, is %s; give what the "
        "recording says, word for word, or no text",
        seconds,
        len(text.strip()),
        found,
    )
