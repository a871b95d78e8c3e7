"""The speech of everybody: who is let in, the one thread that speaks, and what is counted of it."""
