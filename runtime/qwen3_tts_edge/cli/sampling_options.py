"""Options that say how codes are chosen: `Sampling`'s settings by their names, and `--greedy`."""

from typing import Any

import click

from qwen3_tts_edge.cli.options import together
from qwen3_tts_edge.speech.sampling import Sampling

_SETTINGS = {
    "--temperature": (float, "How far codes stray from the likeliest, above 0."),
    "--top-k": (int, "Choose among so many codes; 0 is all."),
    "--top-p": (float, "Choose among the codes that make up this probability, up to 1."),
    "--repetition-penalty": (float, "Above 1 keeps speech from going round in circles."),
    "--subtalker-temperature": (float, "As --temperature, for codebooks 1 to 15."),
    "--subtalker-top-k": (int, "As --top-k, for codebooks 1 to 15."),
    "--subtalker-top-p": (float, "As --top-p, for codebooks 1 to 15."),
}
"""Where one is not given the checkpoint decides."""

sampling_options = together(
    *(click.option(name, type=kind, help=text) for name, (kind, text) in _SETTINGS.items()),
    click.option("--greedy", is_flag=True, help="Always the likeliest code. For tests."),
)
"""All of them."""


def sampling_of(settings: dict[str, Any], *, greedy: bool) -> Sampling:
    """Put together what was given.

    Args:
        settings: By the names of Python's arguments; None was not given.
        greedy: Always the likeliest code.

    Raises:
        click.UsageError: A temperature is 0, or a setting beside `--greedy` chooses nothing.
        InputError: A value is outside its range.
    """
    zero = [name for name in settings if name.endswith("temperature") and settings[name] == 0]
    if not greedy:
        if zero:
            option = zero[0].replace("_", "-")
            raise click.UsageError(
                f"--{option} is 0, and must be above it; --greedy takes the likeliest code always"
            )
        return Sampling(**settings)
    left = {"repetition_penalty", *zero}
    if given := [name for name in settings if settings[name] is not None and name not in left]:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise click.UsageError(f"--greedy chooses the likeliest code always; drop {options}")
    return Sampling(**{**settings, "do_sample": False, "subtalker_dosample": False})
