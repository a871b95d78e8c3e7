"""Networks → ONNX graphs: declared, traced, lowered for a flavour, given their weights."""
