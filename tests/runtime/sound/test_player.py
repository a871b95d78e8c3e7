"""A player in real time, on a clock of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen3_tts_edge.sound.player import Player

RATE = 1000


def played(*pieces: tuple[int, float]) -> Player:
    player = Player(RATE)
    for size, now in pieces:
        player.hear(size, now)
    return player


def test_what_comes_in_time_is_played_without_a_gap() -> None:
    player = played((100, 5.0), (100, 5.1), (300, 5.2))
    assert (player.first, player.last, player.seconds) == (5.0, 5.2, 0.5)
    assert player.late == pytest.approx(0, abs=1e-9)
    assert player.ends == 5.5


def test_what_comes_late_is_waited_for_and_all_behind_it_is_later() -> None:
    player = played((100, 5.0), (100, 5.3), (100, 5.45))
    assert player.late == pytest.approx(0.25)
    assert player.ends == pytest.approx(5.55)


def test_what_is_no_sound_is_not_the_first() -> None:
    player = played((0, 5.0), (1, 6.0))
    assert player.first == 6.0
    assert Player(RATE).ends is None


@given(st.lists(st.tuples(st.integers(2, 500), st.integers(0, 1000)), min_size=1))
def test_silence_is_that_of_a_player_that_plays_sample_by_sample(
    pieces: list[tuple[int, int]],
) -> None:
    now, plays, silent, came = 0, None, 0, []
    for size, gap in pieces:
        now += gap
        came.append((size, now / RATE))
        if plays is None:
            plays = now
        silent += max(0, now - plays)
        plays = max(plays, now) + size
    assert played(*came).late == pytest.approx(silent / RATE)
    assert played(*came).ends == pytest.approx(plays / RATE)
