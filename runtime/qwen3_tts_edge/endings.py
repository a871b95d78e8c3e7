"""Signals that end a program, wherever it is when they come.

What a handler raises ends nothing where Python ignores errors, as in the callbacks of weak
references, of which every import has some, and becomes another error where a library in C++ is
imported. So it is kept which signal came, and one that was ignored is sent again.
"""

import _thread
import signal
import sys
import threading
from types import FrameType

_SOON = 0.01
"""Seconds after which an ignored signal comes again: then what ignored it is over."""


class Endings:
    """The signals that end a program.

    Attributes:
        told: The number of the one that came, or None.
    """

    def __init__(self) -> None:
        self.told: int | None = None

    def heed(self) -> None:
        """End this program by an exception when one comes, so that it cleans up."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self._end)
        usual = sys.unraisablehook

        def ignored(what: "sys.UnraisableHookArgs") -> None:
            if self.told is None or what.exc_type not in (KeyboardInterrupt, SystemExit):
                usual(what)
                return
            again = threading.Timer(_SOON, _send, [self.told])
            again.daemon = True
            again.start()

        sys.unraisablehook = ignored

    @property
    def code(self) -> int | None:
        """What the program that one has ended exits with."""
        return None if self.told is None else 128 + self.told

    def _end(self, number: int, _: FrameType | None) -> None:
        self.told = number
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)


def _send(number: int) -> None:
    """Send the main thread a signal, which wakes it where it waits."""
    if hasattr(signal, "pthread_kill"):  # Windows has none
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))
