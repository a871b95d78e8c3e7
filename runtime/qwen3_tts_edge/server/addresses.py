"""What is said of an address that is not there: mostly a base URL has `/v1` too little or twice."""

import re
from collections.abc import Iterable

from qwen3_tts_edge.errors import quoted


def nothing_at(path: str, known: Iterable[str]) -> str:
    """Say that nothing is at a path, and which of those that are known is probably meant.

    Args:
        path: That a client asked for.
        known: Paths that there are.
    """
    asked = re.sub("/+", "/", path).rstrip("/")
    meant = [each for each in known if asked and (each.endswith(asked) or _ends(asked, each))]
    if not meant:
        return f"there is nothing at {quoted(path)}; /openapi.json says what there is"
    found = f"there is nothing at {quoted(path)}; it is at {max(meant, key=len)}"
    if asked in meant:
        return f"{found}, without another slash"
    return f"{found}, so the base URL of a client of OpenAI's ends in /v1, once"


def _ends(asked: str, known: str) -> bool:
    return known != "/" and asked.endswith(known)
