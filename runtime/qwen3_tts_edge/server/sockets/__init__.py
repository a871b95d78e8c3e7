"""A websocket as protocols share it: its messages, and the contexts that speak meanwhile."""
