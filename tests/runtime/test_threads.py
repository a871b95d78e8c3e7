"""Work beside the one that asks: done at once, waited for, and nothing left behind."""

import gc
import threading
import time

import pytest

from qwen3_tts_edge.threads import Threads


def _named(name: str) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == name]


def test_no_more_threads_are_made_than_there_is_work_for() -> None:
    threads = Threads(4, "few")
    for number in range(20):
        assert threads.submit(str, number).result() == str(number)
        time.sleep(0.001)
    assert len(_named("few")) < 4
    gate = threading.Event()
    waiting = [threads.submit(gate.wait, 10) for _ in range(9)]
    assert len(_named("few")) == 4
    gate.set()
    assert all(each.result() for each in waiting)
    threads.close()
    assert not _named("few")


def test_what_goes_wrong_is_heard_by_who_asked() -> None:
    with Threads(1, "wrong") as threads:
        answer = threads.submit(int, "no number")
        with pytest.raises(ValueError, match="no number"):
            answer.result()
        assert threads.submit(int, "1").result() == 1


def test_who_closes_waits_and_may_go_on() -> None:
    threads = Threads(2, "closed")
    done: list[int] = []
    for number in range(4):
        threads.submit(lambda number=number: (time.sleep(0.02), done.append(number)))
    threads.close()
    assert sorted(done) == [0, 1, 2, 3]
    assert threads.submit(int).result() == 0
    threads.close()


def test_threads_that_are_forgotten_end() -> None:
    threads = Threads(2, "forgotten")
    threads.submit(int).result()
    [one] = _named("forgotten")
    del threads
    gc.collect()
    one.join(5)
    assert not one.is_alive()


def test_where_no_thread_can_be_made_the_caller_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Threads(2, "none").submit(threading.current_thread).result() is threading.main_thread()


def test_who_waits_for_the_end_may_give_work_still() -> None:
    """As a program that says goodbye in `atexit`: its own turn is the last."""
    threads = Threads(1, "last")
    threads.acquire()
    assert threads.submit(int).result() == 0
    threads.release()
    threads.close()
