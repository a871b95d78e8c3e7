"""Graphs → TensorRT plans."""
