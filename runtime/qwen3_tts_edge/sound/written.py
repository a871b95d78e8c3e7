"""What libraries that encode write to, in place of a file."""


class Written:
    """What libraries take for a file: keeps what was not taken yet."""

    def __init__(self) -> None:
        self._new = bytearray()

    def write(self, data: bytes) -> int:
        """Append."""
        self._new += data
        return len(data)

    def taken(self) -> bytes:
        """Take what is new."""
        new = bytes(self._new)
        self._new.clear()
        return new
