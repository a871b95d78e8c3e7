"""The names that a checkpoint gives: they are asked for in any case, and so told apart in lower."""

from collections.abc import Mapping

from qwen3_tts_edge.errors import CheckpointError, quoted


def folded(ids: Mapping[str, int], what: str, file: str = "config.json") -> dict[str, int]:
    """Put names into lower case, in which the runtime looks them up.

    Args:
        ids: Name to code.
        what: What messages call them.
        file: Where they stand, for messages.

    Raises:
        CheckpointError: Two names become one, or one has nothing to be seen.
    """
    folded: dict[str, int] = {}
    spelt: dict[str, str] = {}
    for name, code in ids.items():
        if not any(char.isprintable() and not char.isspace() for char in name):
            raise CheckpointError(
                f"{file}: one of the {what} is called {quoted(name)}, and nobody can ask for it so",
                "give it another there",
            )
        key = fold(name)
        if key in folded:
            raise CheckpointError(
                f"{file}: the {what} {quoted(spelt[key])} and {quoted(name)} differ only in case",
                "rename one of them there, for names are asked for in any case",
            )
        folded[key], spelt[key] = code, name
    return folded


def spelt(speakers: Mapping[str, int]) -> dict[str, int]:
    """Keep the speakers' names as they are written, blanks at their ends left out.

    Raises:
        CheckpointError: As for `folded`.
    """
    folded(speakers, "speakers")
    return {name.strip(): code for name, code in speakers.items()}


def fold(name: str) -> str:
    """Put one name into lower case."""
    return name.strip().lower()
