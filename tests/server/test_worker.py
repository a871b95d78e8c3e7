"""The worker's turns: who is served when."""

from types import SimpleNamespace

from qwen3_tts_edge.server.speaking.worker import Worker


class Speaker:
    over = False

    def __init__(self, name: str, served: list[str]) -> None:
        self._name, self._served = name, served

    def deliver(self) -> bool:
        self._served.append(self._name)
        return True

    def fail(self, error: Exception) -> None:
        raise AssertionError from error


def test_who_came_last_is_served_first() -> None:
    """Those who came before are ahead of their players; the last has not been heard at all."""
    served: list[str] = []
    worker = Worker(SimpleNamespace(step=lambda: False))
    for name in ("first", "second", "third"):
        worker.add(Speaker(name, served))
    assert worker._frame()
    assert served == ["third", "second", "first"]
