"""The items of a Realtime conversation: texts that wait for a response.

A model would answer the conversation. Here the next response speaks what is in it and was not
spoken, each item once. Messages of the system say how a model shall answer, and are left unspoken,
as `instructions` are.

Source: https://platform.openai.com/docs/api-reference/realtime
"""

import secrets
from typing import Annotated, Any, Literal

from pydantic import Field

from qwen3_tts_edge.errors import quoted
from qwen3_tts_edge.server.problems import FieldError
from qwen3_tts_edge.server.protocols.said import Said

_MOST = 1000
"""Items of a conversation; of what was spoken the oldest are forgotten first."""

_LONGEST = 128
"""Characters of an item's name, which is kept."""


class _Content(Said):
    type: Literal["input_text", "output_text", "text"]
    text: str = ""


class Item(Said):
    """A message of a conversation; all of it is text."""

    id: Annotated[str | None, Field(max_length=_LONGEST)] = None
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system"] = "user"
    content: Annotated[list[_Content], Field(default_factory=list)]

    @property
    def text(self) -> str:
        """What of it is to be spoken."""
        return "" if self.role == "system" else "\n".join(each.text for each in self.content)


class Items:
    """A conversation's items, in their order."""

    def __init__(self, largest: int) -> None:
        """Begin with none.

        Args:
            largest: Characters that may wait to be spoken.
        """
        self._largest = largest
        self._names: list[str] = []
        self._unspoken: dict[str, str] = {}

    @property
    def unspoken(self) -> list[str]:
        """The texts that no response has spoken."""
        return [self._unspoken[name] for name in self._names if name in self._unspoken]

    def spoken(self) -> None:
        """Note that a response speaks them."""
        self._unspoken.clear()

    def add(self, item: Item, behind: str | None) -> dict[str, Any]:
        """Add an item; give what is told of it.

        Args:
            item: A message.
            behind: The name of another, `root` for the beginning; None is the end.

        Raises:
            FieldError: There is no such other, its name is taken, or too much waits.
        """
        name = item.id or f"item_{secrets.token_hex(12)}"
        if name in self._names:
            raise FieldError("item", f"there is an item {quoted(name)}", "give it another id")
        at = 0 if behind == "root" else 1 + self._place(behind, "previous_item_id")
        size = sum(map(len, self._unspoken.values())) + len(item.text)
        if size > self._largest or len(self._unspoken) == _MOST:
            raise FieldError(
                "item",
                f"{self._largest} characters and {_MOST} items may wait to be spoken",
                "create a response first",
            )
        self._names.insert(at, name)
        self._unspoken[name] = item.text
        if len(self._names) > _MOST:
            self.remove(next(name for name in self._names if name not in self._unspoken))
        before = self._names.index(name) - 1
        told = {"object": "realtime.item", "status": "completed", **item.model_dump(), "id": name}
        return {"previous_item_id": self._names[before] if before >= 0 else None, "item": told}

    def remove(self, name: str) -> None:
        """Remove an item: it is not spoken.

        Raises:
            FieldError: There is none of that name.
        """
        self._unspoken.pop(self._names.pop(self._place(name, "item_id")), None)

    def _place(self, name: str | None, field: str) -> int:
        if name is None:
            return len(self._names) - 1
        if name not in self._names:
            raise FieldError(field, f"there is no item {quoted(name)}", "name one that was added")
        return self._names.index(name)
