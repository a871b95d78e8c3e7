"""How long a text may take to speak. What goes on for longer has run away and will not end.

About one request in two hundred of the released checkpoints never says its end of speech: a murmur
or near silence follows, to the limit. Another seed is the cure, for whether it happens hangs on the
draws; and to notice it, a generous guess of what the text takes is enough.

Source: https://github.com/QwenLM/Qwen3-TTS/issues/118, one in 200 requests;
    https://github.com/sgl-project/sglang-omni/issues/1179, 207 in 60,424.
"""

from collections.abc import Iterator

from qwen3_tts_edge.speech.sampling import Sampling

_MORE_SEEDS = 2
"""If one in two hundred runs away, three in a row are one in eight million."""

_SMALL_LETTER, _OTHER, _MORE = 0.25, 1.0, 5.0
"""Seconds. In usual speech a letter takes 0.07; a digit, a sign, a capital that is spelled out or a
Chinese character may be a word or a syllable, 0.3. Slow speech takes twice that."""


def patience(text: str) -> float:
    """The most seconds that a text may take: at least three times what it usually does.

    Args:
        text: In any language; blanks count for nothing.
    """
    letters = "".join(text.split())
    return _MORE + sum(_SMALL_LETTER if each.islower() else _OTHER for each in letters)


def other_seeds(seed: int, sampling: Sampling) -> Iterator[int]:
    """The seeds to begin anew with, one after the other; none where nothing is drawn.

    Args:
        seed: That of the speech that has run away.
        sampling: Complete settings.
    """
    if sampling.do_sample or sampling.subtalker_dosample:
        for more in range(1, _MORE_SEEDS + 1):
            yield (seed + more) % 2**64
