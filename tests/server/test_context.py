"""Whether a text that grows over a socket came whole is told by its messages, not by the load."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from qwen3_tts_edge.server.sockets.context import Context, Message


class Deaf:
    """Answers of a protocol, none of which is looked at."""

    def sound(self, data: bytes) -> list[Message]:
        return []

    def flushed(self) -> list[Message]:
        return []

    def done(self) -> list[Message]:
        return []

    def failed(self, problem: Any) -> list[Message]:
        return []


def begun(*messages: tuple[str, bool], busy: bool) -> list[tuple[str, bool]]:
    """Tell with what a session is opened, after messages of a text and whether it ends there."""
    found: list[tuple[str, bool]] = []

    async def begin(text: str, ended: bool) -> Any:
        found.append((text, ended))
        raise OSError

    async def talk() -> None:
        free = asyncio.Event()

        async def send(_: Iterable[Message]) -> None:
            await free.wait()

        context = Context(begin, Deaf(), send, field="text", largest=100)
        if busy:
            context.flush()  # of nothing, whose answer cannot be sent
            await asyncio.sleep(0)
        else:
            free.set()
        for text, ended in messages:
            context.append(text)
            if ended:
                context.end()
            await asyncio.sleep(0)  # as between two messages of a conversation
        free.set()
        await context.task

    asyncio.run(talk())
    return found


@pytest.mark.parametrize("busy", [False, True])
def test_a_text_is_whole_where_its_end_came_with_it(busy: bool) -> None:
    assert begun(("Hello.", True), busy=busy) == [("Hello.", True)]


@pytest.mark.parametrize("busy", [False, True])
def test_a_text_whose_end_comes_later_is_not_whole_however_late_it_is_looked_at(busy: bool) -> None:
    assert begun(("Hello.", False), ("", True), busy=busy) == [("Hello.", False)]
