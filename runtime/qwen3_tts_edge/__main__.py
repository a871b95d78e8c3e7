"""`python -m qwen3_tts_edge`: the command, where its folder is not on PATH."""

from qwen3_tts_edge.cli import main

main()
