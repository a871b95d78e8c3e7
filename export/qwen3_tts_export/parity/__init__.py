"""Measure how far a bundle is from fp32: in codes, logits and words understood."""

import qwen3_tts_edge.backends.ort  # noqa: F401  # before ONNX Runtime, which else reports itself
