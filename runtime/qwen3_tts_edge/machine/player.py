"""A player that plays in real time what comes bit by bit, and how long it had to be silent."""


class Player:
    """Plays sound from its first sample on, and waits where the next has not come.

    Attributes:
        first: When the first sample came; None before that.
        last: When the last one came.
        seconds: Of sound that came.
        late: Seconds of silence between first and last sample. A player that holds its first sample
            back for as long, or longer, is never silent.
    """

    def __init__(self, rate: int) -> None:
        """Begin.

        Args:
            rate: Bytes a second.
        """
        self.first: float | None = None
        self.last = 0.0
        self.late = 0.0
        self._rate = rate
        self._bytes = 0

    @property
    def seconds(self) -> float:
        """How much sound came."""
        return self._bytes / self._rate

    @property
    def ends(self) -> float | None:
        """When it has played all that came; None where nothing did."""
        return None if self.first is None else self.first + self.late + self.seconds

    def hear(self, size: int, now: float) -> None:
        """Take so many bytes that came at a time, in seconds of any clock."""
        if self.first is None and self._bytes + size >= 2:  # half a sample cannot be played
            self.first = now
        if self.first is not None:
            self.late = max(self.late, now - self.first - self.seconds)
        self._bytes += size
        self.last = now
