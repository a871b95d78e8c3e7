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

    def __init__(self, rate: float = 1.0) -> None:
        """Begin.

        Args:
            rate: What it is told the sizes in, a second: bytes, or 1 where that is seconds.
        """
        self.first: float | None = None
        self.last = 0.0
        self.late = 0.0
        self._rate = rate
        self._size = 0.0

    @property
    def seconds(self) -> float:
        """How much sound came."""
        return self._size / self._rate

    @property
    def ends(self) -> float | None:
        """When it has played all that came, and falls silent; None where nothing did."""
        return None if self.first is None else self.first + self.late + self.seconds

    def hear(self, size: float, now: float) -> None:
        """Take what came at a time, in seconds of any clock."""
        if self.first is None and size:
            self.first = now
        if self.first is not None:
            self.late = max(self.late, now - self.first - self.seconds)
        self._size += size
        self.last = now
