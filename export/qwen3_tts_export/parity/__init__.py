"""Measure how far a bundle is from fp32: in codes, logits and words understood."""
