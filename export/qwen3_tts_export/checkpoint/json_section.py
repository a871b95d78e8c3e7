"""Reading JSON with errors that name the file and the key."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen3_tts_edge.errors import CheckpointError


class JsonSection:
    """A JSON object that knows its file and path, so every complaint names the key."""

    def __init__(self, values: Mapping[str, Any], file: str, path: str = "") -> None:
        self.values = values
        self.file = file
        self.path = path

    def where(self, key: str) -> str:
        """Name a key as a message does: file, path, key."""
        return f"{self.file}: {self.path}{key}"

    def _get(self, key: str, kind: type, said: str) -> Any:
        if key not in self.values:
            raise CheckpointError(
                f"{self.where(key)} is missing; the checkpoint is incomplete, download it again"
            )
        value = self.values[key]
        # bool is an int to Python, and an int is a fine float: neither is what JSON meant.
        wrong_bool = isinstance(value, bool) and kind is not bool
        if wrong_bool or not isinstance(value, (int, float) if kind is float else kind):
            raise CheckpointError(f"{self.where(key)} is {value!r}, expected {said}")
        return value

    def count(self, key: str) -> int:
        """A size: an integer of at least one."""
        value = self.integer(key)
        if value < 1:
            raise CheckpointError(f"{self.where(key)} is {value}, expected at least 1")
        return value

    def integer(self, key: str) -> int:
        """An integer of any sign."""
        return int(self._get(key, int, "an integer"))

    def index(self, key: str, size: int) -> int:
        """An id in a vocabulary of `size`."""
        value = self.integer(key)
        if not 0 <= value < size:
            raise CheckpointError(f"{self.where(key)} is {value}, outside the vocabulary of {size}")
        return value

    def number(self, key: str) -> float:
        """A number, as a float."""
        return float(self._get(key, float, "a number"))

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self._get(key, bool, "true or false"))

    def text(self, key: str) -> str:
        """A string."""
        return str(self._get(key, str, "a string"))

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of sizes."""
        values = self._get(key, list, "a list of integers")
        if not values or not all(type(value) is int and value > 0 for value in values):
            raise CheckpointError(f"{self.where(key)} is {values!r}, expected a list of integers")
        return tuple(values)

    def section(self, key: str) -> "JsonSection":
        """The object under a key."""
        return JsonSection(self._get(key, dict, "an object"), self.file, f"{self.path}{key}.")

    def optional_object(self, key: str) -> Mapping[str, Any] | None:
        """The object under a key, or None where it is absent or null."""
        return self.section(key).values if self.values.get(key) is not None else None

    def indices(self, size: int) -> dict[str, int]:
        """Every entry of this object as an id in a vocabulary of `size`."""
        return {name: self.index(name, size) for name in self.values}

    def must_be(self, key: str, allowed: tuple[Any, ...], why: str) -> None:
        """Refuse a value that is not implemented; an absent key keeps the official meaning."""
        value = self.values.get(key, allowed[0])
        if value not in allowed:
            said = " or ".join(json.dumps(choice) for choice in allowed)
            raise CheckpointError(
                f"{self.where(key)} is {json.dumps(value)}, expected {said}: {why}"
            )


def read_json(file: Path) -> dict[str, Any]:
    """Read one JSON object from disk.

    Raises:
        CheckpointError: The file is missing, is not JSON, or is not an object.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{file} is missing; expected a Qwen3-TTS checkpoint folder"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{file} is not readable JSON ({error}); download it again"
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} holds a {type(value).__name__}, expected a JSON object")
    return value
