"""Qwen3-TTS in plain torch: every network as the graphs run it, all state as tensors in and out.

Read in this order: `layers` (the transformer block both language models share), `talker`,
`code_predictor`, `sampling`, `frame` (one 80 ms step of all of them), `codec_decoder`.
"""
