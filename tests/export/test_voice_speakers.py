"""Who speaks in what the bundled voice learns from, and how it is told."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qwen3_tts_voice import begin, checkpoint, talker_data  # noqa: E402
from qwen3_tts_voice import talker as training_of_talker  # noqa: E402
from qwen3_tts_voice.codes import BOOKS, with_tract  # noqa: E402
from qwen3_tts_voice.references import References  # noqa: E402
from qwen3_tts_voice.speakers import (  # noqa: E402
    HEIGHTS,
    HIGHEST,
    LOWEST,
    MANY,
    NAMED,
    NAMED_SENTENCES,
    STRAIGHT,
    TRACTS,
    Speaker,
    reader,
    speaker,
)
from qwen3_tts_voice.talker_model import (  # noqa: E402
    HEARD,
    SPEAKER_CODES,
    Talker,
    speaker_encoder,
)
from qwen3_tts_voice.text_ids import TextIds  # noqa: E402
from tiny import EDGE_VOICE  # noqa: E402

FRAMES = 20
VECTOR = 256


def test_the_first_sentences_are_read_by_those_with_names() -> None:
    assert Counter(map(reader, range(1000))) == {0: 750, 1: 250}
    assert reader(NAMED_SENTENCES - 1) == 1


def test_the_others_are_read_by_the_many_and_some_speakers_by_nobody() -> None:
    reads = Counter(map(reader, range(NAMED_SENTENCES, NAMED_SENTENCES + 4 * MANY)))
    assert reads == dict.fromkeys(range(2, 2 + MANY), 4)


def test_speakers_differ_and_the_first_is_the_teacher() -> None:
    assert speaker(0) == NAMED["heart"]
    assert (speaker(0).tract, speaker(0).pitch, speaker(0).formants) == (STRAIGHT, 1, 1)
    many = [speaker(number) for number in range(2, 2 + MANY)]
    assert len(set(many)) == MANY
    assert {one.tract for one in many} == set(range(TRACTS))
    assert speaker(17) == speaker.__wrapped__(17)


def test_a_shorter_tract_raises_formants_and_mostly_the_pitch() -> None:
    many = [speaker(number) for number in range(2, 2 + MANY)]
    assert np.corrcoef([o.formants for o in many], [o.tract for o in many])[0, 1] > 0.99
    assert 0.6 < np.corrcoef([o.pitch for o in many], [o.tract for o in many])[0, 1] < 0.95


@pytest.fixture
def references(tmp_path: Path) -> References:
    """Three pieces of each of three speakers, whose values are the speaker's number."""
    pieces = {str(n): np.full((3, 281, 128), n, np.float16) for n in (0, 1, 7)}
    np.savez(tmp_path / "references.npz", **pieces)
    return References(tmp_path)


def test_pieces_of_the_speakers_asked_for_are_drawn_in_one_length(references: References) -> None:
    for seed in range(20):
        mel = references.draw([7, 0, 7], random.Random(seed))
        assert mel.dtype == torch.float32
        assert 281 * 0.2 - 1 < mel.shape[1] < 281 * 0.5 + 1
        assert mel[:, 0, 0].tolist() == [7, 0, 7]


def laid_out(
    references: References, speaker: int, seed: int, *, streamed: bool = True
) -> talker_data.Batch:
    """A batch of one utterance of random codes."""
    codes = torch.randint(256, (FRAMES, 16), generator=torch.Generator().manual_seed(seed))
    said = talker_data.Utterance(["Good morning."], codes, None, speaker)
    return talker_data.batch(
        [said], TextIds(EDGE_VOICE), references, streamed=streamed, draw=random.Random(seed)
    )


def test_who_has_a_name_is_told_by_name_or_by_vector_and_others_by_vector(
    references: References,
) -> None:
    def told(number: int) -> Counter[int]:
        rows = [laid_out(references, number, seed) for seed in range(60)]
        for row in rows:
            at = (row.control == HEARD) | torch.isin(
                row.control, torch.tensor(list(SPEAKER_CODES.values()))
            )
            assert at.sum() == 1
        return Counter(int((row.control == HEARD).any()) for row in rows)

    assert told(7) == {1: 60}
    low = told(1)
    assert 15 < low[0] < 45
    names = [laid_out(references, 1, seed).control for seed in range(60)]
    assert not any((control == SPEAKER_CODES["heart"]).any() for control in names)


def test_where_the_text_comes_a_token_a_frame_the_first_word_is_held_back(
    references: References,
) -> None:
    late, whole = (laid_out(references, 7, 0, streamed=how) for how in (True, False))
    codes, expected = late.codes[late.is_frame], whole.codes[whole.is_frame]
    held = talker_data.HELD_BACK
    assert torch.equal(codes[held:], expected)
    assert torch.equal(codes[:held], expected[:1].expand(held, -1))
    assert (late.label >= 0).sum() == (whole.label >= 0).sum() + held


def test_the_speaker_encoder_begins_alive() -> None:
    """Every channel of its first layer says something of some of what is usual in speech."""
    mel = 2.3 * torch.randn(4, 128, 140, generator=torch.Generator().manual_seed(0)) - 5.5
    with torch.no_grad():
        alive = (speaker_encoder(seed=0).blocks[0](mel) > 0).float().mean((0, 2))
    assert alive.min() > 0.2
    assert alive.max() < 0.8


def test_heights_of_pitch_are_told_apart_from_the_lowest_to_the_highest() -> None:
    assert Speaker(pitch=LOWEST).height == 0
    assert Speaker(pitch=HIGHEST).height == HEIGHTS - 1
    assert {speaker(number).height for number in range(2, 2 + MANY)} <= set(range(HEIGHTS))
    assert speaker(0).height > speaker(1).height


def test_who_is_disguised_says_the_same_with_the_tracts_of_others() -> None:
    codes = torch.randint(0, 255, (40, FRAMES, BOOKS), generator=torch.Generator().manual_seed(0))
    codes[..., 1] %= 250
    mine = with_tract(codes, torch.tensor(7))
    assert torch.equal(with_tract(mine, torch.tensor(19)), with_tract(codes, torch.tensor(19)))
    torch.manual_seed(0)
    made = talker_data.disguised(mine, 0.5)
    changed = (made != mine).flatten(1).any(1)
    assert 10 < changed.sum() < 30
    tract = made[..., 1] // 50 * 5 + made[..., 2] // 51
    assert (tract[~changed] == 7).all()
    assert set(tract[changed].flatten().tolist()) == set(range(TRACTS))
    assert torch.equal(with_tract(made, torch.tensor(7)), mine)


def test_the_speaker_encoder_learns_slowly(tmp_path: Path) -> None:
    begin.begin(tmp_path, EDGE_VOICE)
    talker, recipe = talker_of(tmp_path), training_of_talker.Recipe()
    _, others = training_of_talker._optimisers(talker, recipe)
    rates = {id(p): group["lr"] for group in others.param_groups for p in group["params"]}
    for name, parameter in talker.named_parameters():
        if name.startswith("speaker_encoder."):
            assert rates[id(parameter)] == pytest.approx(0.2 * recipe.rate)
        elif id(parameter) in rates:
            assert rates[id(parameter)] == recipe.rate


def test_the_vector_stands_in_its_row_alone(references: References, tmp_path: Path) -> None:
    begin.begin(tmp_path, EDGE_VOICE)
    talker = talker_of(tmp_path)
    row = laid_out(references, 7, 0)
    at = row.control == HEARD
    vector = talker.vectors(row)
    rows = talker.rows(row, row.codes, row.is_frame, vector)
    row.control[at] = -1
    bare = talker.rows(row, row.codes, row.is_frame, vector)
    assert torch.equal(rows[~at], bare[~at])
    assert vector.shape == (1, VECTOR)
    assert torch.allclose(rows[at] - bare[at], vector, atol=1e-5)


def talker_of(work: Path) -> Talker:
    """The talker that a training begins with."""
    from qwen3_tts_voice import training
    from qwen3_tts_voice.codes import CODEBOOKS, Quantiser

    talker = Talker(Quantiser.load(work / CODEBOOKS), seed=0)
    talker.load_state_dict(training.averaged(work, "talker"), strict=False)
    return talker


def test_both_types_of_checkpoint_are_opened_and_have_the_same_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from qwen3_tts_export.checkpoint.opening import Checkpoint

    begin.begin(tmp_path, EDGE_VOICE)
    folders = {kind: tmp_path / kind for kind in checkpoint.TYPES}
    for kind, folder in folders.items():
        checkpoint.write(tmp_path, EDGE_VOICE, folder, kind, {})
    named, base = (Checkpoint.open(folder) for folder in folders.values())
    assert (named.config.tts_model_type, base.config.tts_model_type) == checkpoint.TYPES
    assert list(named.config.talker.speakers) == list(NAMED)
    assert base.config.talker.speakers == {}
    assert base.config.speaker_encoder.vector_size == VECTOR
    one, other = folders.values()
    speech_tokenizer = Path("speech_tokenizer") / "model.safetensors"
    assert (one / speech_tokenizer).read_bytes() == (other / speech_tokenizer).read_bytes()
    talker, heard = sorted(other.glob("*.safetensors"))
    assert (one / "model.safetensors").read_bytes() == talker.read_bytes()
    assert {name.split(".")[0] for name in load_file(heard)} == {"speaker_encoder"}
