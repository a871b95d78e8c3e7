"""Templates, and what draws phrases from them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable


class Templates(ABC):
    """Phrases drawn from templates with one random generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._templates = self._all()

    def draw(self) -> str:
        """Draw one phrase, first letter upper case."""
        phrase = self._random.choice(self._templates)()
        return phrase[0].upper() + phrase[1:]

    def _of(self, values: Iterable[str]) -> str:
        return self._random.choice(list(values))

    @abstractmethod
    def _all(self) -> list[Callable[[], str]]:
        """Give the templates."""
