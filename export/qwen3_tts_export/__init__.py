"""Official Qwen3-TTS checkpoint → bundle of ONNX graphs. PyTorch lives here and only here."""
