"""Where is kept what this program can make again: the user's cache folder.

On Linux it is `~/.cache/qwen3-tts-edge`; QWEN3_TTS_EDGE_CACHE in the environment names another.
"""

import os
from pathlib import Path

from platformdirs import user_cache_path

from qwen3_tts_edge.errors import InputError

VARIABLE = "QWEN3_TTS_EDGE_CACHE"


def cache_folder() -> Path:
    """Give the folder; it may not exist yet.

    Raises:
        InputError: It would be in the home folder, and this user has none.
    """
    named = os.environ.get(VARIABLE)
    folder = Path(named) if named else user_cache_path("qwen3-tts-edge", appauthor=False)
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise InputError("this user has no home folder", f"set {VARIABLE} to a folder") from error
