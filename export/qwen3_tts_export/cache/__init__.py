"""Keep the talker's KV cache in int8: a scale for each channel, measured while it speaks."""
