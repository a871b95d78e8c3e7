"""Twenty seconds of the soak that `tests/soak.py` does for an hour."""

import soak


def test_nothing_is_lost_and_nothing_is_left_behind() -> None:
    result = soak.run(20.0, every=10.0, seed=1)
    assert result.faults == []
    assert result.done["whole"] > 0
