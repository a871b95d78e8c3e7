"""Names of languages in the forms that people and programs give them."""

from collections.abc import Collection

from qwen3_tts_edge.errors import InputError, quoted

_CODES = {
    "zh": "chinese",
    "en": "english",
    "ja": "japanese",
    "ko": "korean",
    "de": "german",
    "fr": "french",
    "ru": "russian",
    "pt": "portuguese",
    "es": "spanish",
    "it": "italian",
}
"""ISO 639-1, of the ten languages of the released checkpoints."""

AUTO = "auto"


def language_named(language: str | None, known: Collection[str]) -> str:
    """Find a checkpoint's language.

    Args:
        language: Its name, or a code with or without a region (`en`, `pt-BR`, `zh_CN`), in any
            letter case; None, "none" and "" leave the choice to the checkpoint, as `auto` does.
        known: The checkpoint's languages, and `auto`.

    Returns:
        One of `known`.

    Raises:
        InputError: It is none of them; says which there are.
    """
    folded = (language or "").strip().lower()
    if folded in ("", "none"):  # as a script writes None on a command line
        return AUTO
    if folded in known:
        return folded
    primary = folded.replace("_", "-").split("-")[0]
    if (found := _CODES.get(primary, primary)) in known:  # a fine-tune may name its own by a code
        return found
    raise InputError(f"language {quoted(language)} is unknown", f"choose one of {', '.join(known)}")


def code_of(language: str) -> str:
    """Give the code of a checkpoint's language, or the name itself where it has none."""
    codes = {name: code for code, name in _CODES.items()}
    return codes.get(language, language)
