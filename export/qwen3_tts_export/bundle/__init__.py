"""A checkpoint → the files of a bundle. Start at `writing`."""
