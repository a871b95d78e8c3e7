"""What this machine can do: what works, how fast, and how fast it could be."""
