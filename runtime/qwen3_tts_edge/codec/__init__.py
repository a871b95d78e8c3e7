"""Codes ↔ samples, and codes in a file."""
