"""`python -m qwen3_tts_export`: the command, where its folder is not on PATH."""

from qwen3_tts_export.cli import main

main()
