"""How the bundled voice is made: text, speech, codes, codec decoder, talker, checkpoint.

One file a stage, one command a stage; see README.md beside this file. No part of the wheel.
"""

import qwen3_tts_edge.backends.ort  # noqa: F401  # before ONNX Runtime, which else reports itself
