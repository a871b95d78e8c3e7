"""How the bundled voice's codebooks describe speech: phonemes and their timing, pitch, loudness."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from qwen3_tts_voice import codes  # noqa: E402
from qwen3_tts_voice.speakers import TRACTS  # noqa: E402

A, B, C, D = 3, 7, 11, 20
STAGES = len(codes.STARTED) + 1


def steps(*runs: tuple[int, int]) -> "torch.Tensor":
    """Phonemes at 10 ms from pairs of a phoneme and how many steps it sounds."""
    return torch.cat([torch.full((length,), phone) for phone, length in runs])


def test_a_frame_inside_one_phoneme_says_since_when_and_for_how_long() -> None:
    made = codes.phonetic(steps((A, 24), (B, 8)), tract=0)
    last, first, between, fills, following, when = made[1].tolist()
    assert (last // STAGES, first, between, following) == (A, A, 0, B)
    assert last % STAGES == STAGES - 1, "it fills the frame"
    assert divmod(fills, 8) == (7, 7)
    assert divmod(when, 16) == (8, 8)


def test_three_phonemes_in_a_frame_are_all_named() -> None:
    made = codes.phonetic(steps((A, 10), (B, 3), (C, 6), (D, 5)), tract=0)
    last, first, between, fills, following, when = made[1].tolist()
    assert (last // STAGES, first, between - 1, following) == (C, A, B, D)
    assert divmod(fills, 8) == (1, 2)
    assert divmod(when, 16) == (8, 3)


def test_of_more_phonemes_the_longest_is_kept() -> None:
    made = codes.phonetic(steps((A, 1), (B, 1), (C, 4), (D, 2)), tract=0)
    assert made[0, 2] - 1 == C


@pytest.mark.parametrize("length", [8, 64, 400])
def test_every_code_is_in_its_codebook(length: int) -> None:
    random = torch.Generator().manual_seed(length)
    phone = torch.randint(0, codes.MOST_PHONES, (length,), generator=random)
    made = codes.phonetic(phone, tract=TRACTS - 1)
    assert made.shape == (length // 8, 6)
    assert made.min() >= 0
    assert made.max() < codes.CODES


def test_the_speakers_tract_is_in_every_frame_beside_the_phonemes() -> None:
    phone = steps((A, 10), (B, 3), (C, 6), (D, 5))
    frames = torch.stack([codes.phonetic(phone, tract=tract) for tract in range(TRACTS)])
    fives, fine = frames[..., 1] // codes.MOST_PHONES, frames[..., 2] // (codes.MOST_PHONES + 1)
    assert torch.equal(fives * codes.FINE + fine, torch.arange(TRACTS)[:, None].expand(-1, 3))
    said = frames.clone()
    said[..., 1] %= codes.MOST_PHONES
    said[..., 2] %= codes.MOST_PHONES + 1
    assert (said == said[0]).all()


@pytest.mark.parametrize(
    ("most", "expected"), [(1, [0]), (2, [0, 5]), (5, [0, 2, 4, 6, 8]), (30, list(range(10)))]
)
def test_shards_are_chosen_evenly(most: int, expected: list[int], tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number:04d}.npz").touch()
    assert [int(path.stem) for path in codes.evenly(tmp_path, most)] == expected


def block(pitch: list[float], level: float) -> "torch.Tensor":
    """One block whose 10 ms steps have these pitches in Hz, all as loud."""
    from qwen3_tts_voice.features import BINS, PER_FRAME, pitch_track

    sound = torch.full((1, BINS * PER_FRAME), level)
    return torch.cat([sound, pitch_track(torch.tensor(pitch)).reshape(1, -1)], 1)


def test_pitch_is_heard_by_quarters_and_zero_where_there_is_none() -> None:
    notes = codes.melodic(block([0, 0, 100, 100, 0, 200, 200, 400], 0.0))[0, :4].tolist()
    assert notes[0] == 0
    assert 0 < notes[1] < notes[2] < notes[3]
    alone = codes.melodic(block([0, 0, 0, 0, 0, 200, 200, 200], 0.0))[0, 2]
    assert notes[2] == alone, "an unvoiced step beside it does not lower it"


def test_louder_is_higher_and_the_codes_are_in_range() -> None:
    levels = [int(codes.melodic(block([0] * 8, level))[0, 4]) for level in (-9.0, -4.0, 0.0, 9.0)]
    assert levels == sorted(levels)
    assert levels[0] == 0
    assert levels[-1] == codes.LOUDNESSES - 1


def test_the_described_codebooks_are_regressed_on_the_sound() -> None:
    random = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 4, (4000, codes.DESCRIBED), generator=random)
    rows = torch.randn(codes.DESCRIBED, codes.CODES, 8, generator=random)
    x = codes.summed(rows, drawn)
    left = x - codes.summed(codes._regressed(drawn, x), drawn)
    assert (left**2).sum() < 0.01 * (x**2).sum()
