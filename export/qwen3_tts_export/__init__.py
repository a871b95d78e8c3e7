"""Turn an official Qwen3-TTS checkpoint into a bundle of ONNX graphs. PyTorch lives here and only here."""
