"""The launches of a graph: how long they take together, and what goes wrong in one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from qwen3_tts_edge.errors import BackendError, reason


class Launches:
    """Those of one graph; they may overlap.

    Attributes:
        seconds: All of them have taken.
    """

    def __init__(self, library: str, file: str) -> None:
        """Note who runs which graph, for errors."""
        self.seconds = 0.0
        self._library, self._file = library, file
        self._counting = Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Launch once, inside.

        Raises:
            BackendError: The library failed; libraries' own errors share no other parent than
                Exception.
        """
        start = time.perf_counter()
        try:
            yield
        except BackendError:
            raise
        except Exception as error:
            raise BackendError(
                f"{self._library} cannot run {self._file}: {reason(error)}",
                "see that there is memory for it, or export the bundle again",
            ) from error
        took = time.perf_counter() - start
        with self._counting:
            self.seconds += took
