"""What clients say in JSON: null is as good as absent, for some write all of their fields."""

import re
from typing import Any

from pydantic import AfterValidator, BaseModel, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

_NOTHING: tuple[Any, ...] = (None, "", [], {})


class Said(BaseModel):
    """A message, a body or a part of one. Any field that has a default may be null."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        return {name: value for name, value in said.items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe it, for the server's description."""
        found = handler(core)
        described = handler.resolve_ref_schema(found)
        for name, field in described["properties"].items():
            if name not in described.get("required", ()):
                described["properties"][name] = {"anyOf": [field, {"type": "null"}]}
        return found


def unheard(found: str, *harmless: Any) -> AfterValidator:
    """Refuse a field that would change the sound, or where it goes, and cannot here.

    Args:
        found: Says why, and what to do.
        harmless: What it may say, beside nothing: what is done anyway.
    """

    def check(said: Any) -> Any:
        if said not in (*_NOTHING, *harmless):
            raise PydanticCustomError("unheard", found)
        return said

    return AfterValidator(check)


def unmarked(*tags: str) -> AfterValidator:
    """Refuse a text with tags that its vendor obeys, for here they would be spoken.

    Args:
        tags: Their names. Others are text, there and here.
    """
    return without(rf"(?i)</?(?:{'|'.join(tags)})\b[^<>]*>")


def without(mark: str) -> AfterValidator:
    """Refuse a text with what its vendor reads as a mark, whatever that looks like.

    Args:
        mark: A regular expression.
    """
    found_in = re.compile(mark).search

    def check(said: str | None) -> str | None:
        if said and (found := found_in(said)):
            raise PydanticCustomError(
                "unheard",
                "no tags are read here, and there is {tag}; send plain text",
                {"tag": found[0]},
            )
        return said

    return AfterValidator(check)
