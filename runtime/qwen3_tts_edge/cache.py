"""Where is kept what this program can make again: the user's cache folder.

On Linux it is `~/.cache/qwen3-tts-edge`; QWEN3_TTS_EDGE_CACHE in the environment names another.
"""

from functools import partial
from pathlib import Path

from platformdirs import user_cache_path

from qwen3_tts_edge.paths import folder_of

VARIABLE = "QWEN3_TTS_EDGE_CACHE"


def cache_folder() -> Path:
    """Give the folder; it may not exist yet.

    Raises:
        InputError: It would be in the home folder, and this user has none, or it is a file.
    """
    return folder_of(VARIABLE, partial(user_cache_path, "qwen3-tts-edge", appauthor=False))
