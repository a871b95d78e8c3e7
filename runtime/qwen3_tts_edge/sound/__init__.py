"""Waveforms in files: reading and writing."""
