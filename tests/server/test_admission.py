"""Who may speak."""

import asyncio

import pytest

from qwen3_tts_edge.server.speaking.admission import Admission, RefusedError


def admission(**limits: float) -> Admission:
    return Admission(**{"places": 1, "queue": 1, "seconds": 5.0, "per_key": None, **limits})


def test_a_place_that_comes_together_with_the_cancel_is_given_back() -> None:
    async def both() -> int:
        door = admission()
        ticket = await door.enter("a")
        waiting = asyncio.create_task(door.enter("b"))
        await asyncio.sleep(0)
        ticket.leave()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return door.running

    assert asyncio.run(both()) == 0


def test_who_waited_long_enough_is_refused_and_waits_no_more() -> None:
    async def wait() -> tuple[int, int]:
        door = admission(seconds=0.01)
        ticket = await door.enter("a")
        with pytest.raises(RefusedError, match="no place became free"):
            await door.enter("b")
        ticket.leave()
        return door.running, door.waiting

    assert asyncio.run(wait()) == (0, 0)


def test_who_waits_when_the_server_stops_is_refused() -> None:
    async def stop() -> None:
        door = admission()
        await door.enter("a")
        waiting = asyncio.create_task(door.enter("b"))
        await asyncio.sleep(0)
        door.close()
        await waiting

    with pytest.raises(RefusedError, match="stopping"):
        asyncio.run(stop())
