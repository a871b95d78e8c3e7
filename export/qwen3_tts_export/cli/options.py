"""Options that several commands have: which checkpoint, and which codec."""

import click

revision_option = click.option(
    "--revision", metavar="REV", help="Of a hub id: a branch, tag or commit."
)
"""`--revision`: which state of a checkpoint on the hub."""

codec_option = click.option(
    "--codec",
    metavar="CODEC",
    help="The codec, for a checkpoint that came without speech_tokenizer: a folder or hub id, such "
    "as Qwen/Qwen3-TTS-Tokenizer-12Hz.",
)
"""`--codec`: the codec of a checkpoint that came without one."""
