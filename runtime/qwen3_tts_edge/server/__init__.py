"""A bundle behind the protocols that programs speak already: one file a protocol, one thread."""
