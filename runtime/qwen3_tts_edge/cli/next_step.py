"""What to try next: said once on a machine, after the first speech, to a person at a terminal."""

import click

from qwen3_tts_edge.cache import cache_folder
from qwen3_tts_edge.cli.progress import watched
from qwen3_tts_edge.errors import InputError

_SAID = "has-spoken"
_NEXT = (
    "next: `speak --list-speakers` names other voices; `qwen3-tts-export bundle "
    "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice -o custom-0.6b` brings a released checkpoint; "
    "`qwen3-tts-edge serve` has a page"
)


def tell_next_step() -> None:
    """Say it in one line on stderr, unless it was said, or nobody is there.

    Where nothing can be kept in the cache it is not said: it would be said each time.
    """
    if not watched():
        return
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _SAID).touch(exist_ok=False)
    except (OSError, InputError):  # it was said, too
        return
    click.echo(_NEXT, err=True)
