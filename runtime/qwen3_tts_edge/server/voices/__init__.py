"""Voices by name, and those of recordings that come with requests."""
