"""Twelve seconds of the soak that `tests/soak.py` does for an hour."""

import pytest

import soak


@pytest.mark.usefixtures("all_cores")
def test_nothing_is_lost_and_nothing_is_left_behind() -> None:
    result = soak.run(12.0, every=6.0, seed=1)
    assert result.faults == []
    assert result.done["whole"] > 0
