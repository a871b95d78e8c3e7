"""Rows that go wrong, for the test of what that costs; a process of its own imports them."""

import os
import time

from hardware.aside import Row
from hardware.record import Figures


def doubtful_rows() -> dict[str, Row]:
    """Each goes another way."""

    def raises() -> Figures:
        raise ValueError("no\nsuch thing")

    return {
        "good": lambda: {"p50_ms": 1.0},
        "raises": raises,
        "crashes": lambda: os._exit(7),
        "hangs": lambda: time.sleep(600),
        "after": lambda: {"p50_ms": 2.0},
    }
