"""What clients speak: one file a protocol, and what several share."""
