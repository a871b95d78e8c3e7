"""What is open in one process, and goes to no other."""

from typing import NoReturn, SupportsIndex

from qwen3_tts_edge.errors import OpenedError


class Opened:
    """Something that holds sessions, buffers or locks: it is neither copied nor pickled.

    Python would say of one lock inside, which nobody has asked for, that it cannot be pickled.
    """

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Say what to do in its place, to `pickle`, `copy` and all that build on them.

        Raises:
            OpenedError: Always.
        """
        raise OpenedError(
            f"a {type(self).__name__} is open in this process, and cannot be copied or sent to "
            "another",
            "open the bundle in each process that speaks; threads of one share what it has opened",
        )
