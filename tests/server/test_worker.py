"""The worker's turns: who is served when."""

import math
from types import SimpleNamespace

from qwen3_tts_edge.server.speaking.worker import Worker


class Speaker:
    over = False

    def __init__(self, name: str, ends: float, served: list[str]) -> None:
        self.ends = ends
        self._name, self._served = name, served

    def deliver(self) -> bool:
        self._served.append(self._name)
        return True

    def fail(self, error: Exception) -> None:
        raise AssertionError from error


def test_who_falls_silent_first_is_served_first() -> None:
    served: list[str] = []
    worker = Worker(SimpleNamespace(step=lambda: False))
    speakers = {"ahead": 9.0, "nobody listens": math.inf, "unheard": -math.inf, "behind": 2.0}
    for name, ends in speakers.items():
        worker.add(Speaker(name, ends, served))
    assert worker._frame()
    assert served == ["unheard", "behind", "ahead", "nobody listens"]
