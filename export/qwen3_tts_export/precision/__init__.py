"""Decide the type of each weight and each step, and round the numbers."""
