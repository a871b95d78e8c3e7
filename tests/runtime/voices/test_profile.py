"""Voice profiles: what is written is read, and nothing else is."""

import json
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load, save

from anna import CODES, FAMILY, PROVENANCE, VECTOR, profile
from qwen3_tts_edge import InputError, Voice
from qwen3_tts_edge.codec.primed import Primed
from qwen3_tts_edge.voices.matching import match
from qwen3_tts_edge.voices.profile import KIND, Family
from qwen3_tts_edge.voices.voice import Clone

PRIMED = Primed(
    graph="96af",
    backend="ort-cpu",
    reference=CODES,
    state={"past.key": VECTOR.reshape(1, 2, 4), "past.last": np.arange(6, dtype=np.uint16)[None]},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anna.safetensors"


def test_what_is_saved_is_loaded(path: Path) -> None:
    for made in (profile(), profile(codes=None, text=None, provenance=None)):
        made.save(path)
        found = Voice.load(path)
        assert np.array_equal(found.speaker_vector, VECTOR)
        assert found.speaker_vector.dtype == np.float32
        assert (found.codes is None) == (made.codes is None)
        if made.codes is not None:
            assert np.array_equal(found.codes, CODES)
            assert found.codes.dtype == np.int64
        assert (found.text, found.family, found.provenance) == (
            made.text,
            made.family,
            made.provenance,
        )
        assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_primed_codec_is_saved_with_its_voice(path: Path) -> None:
    profile(primed=PRIMED).save(path)
    found = Voice.load(path).primed
    assert found is not None
    assert (found.graph, found.backend, found.nbytes) == ("96af", "ort-cpu", 32 + 12)
    assert np.array_equal(found.reference, CODES)
    assert found.state.keys() == PRIMED.state.keys()
    for name, array in PRIMED.state.items():
        assert found.state[name].dtype == array.dtype
        assert np.array_equal(found.state[name], array)
    assert replace(Voice.load(path), primed=None).primed is None


def test_a_codec_that_was_primed_with_other_codes() -> None:
    for changes in ({"codes": CODES[::-1]}, {"codes": CODES[:2]}, {"codes": None, "text": None}):
        with pytest.raises(InputError, match="primed with other codes than the clone's; leave"):
            profile(primed=PRIMED, **changes)


def test_the_file_is_plain_safetensors_and_small(path: Path) -> None:
    profile().save(path)
    tensors = load(path.read_bytes())
    assert {name: (t.dtype, t.shape) for name, t in tensors.items()} == {
        "speaker_vector": (np.float32, (8,)),
        "codes": (np.int16, (3, 16)),
    }
    assert path.stat().st_size < 1200
    profile().save(path)
    first = path.read_bytes()
    profile().save(path)
    assert path.read_bytes() == first


def test_a_voice_is_its_profile(path: Path) -> None:
    voice = Voice.cloned(Clone(VECTOR, CODES, "Hello.", FAMILY, PROVENANCE))
    voice.save(path)
    clone = Voice.load(path)
    assert np.array_equal(clone.codes, CODES)
    assert (clone.text, clone.family, clone.provenance) == ("Hello.", FAMILY, PROVENANCE)


def test_a_voice_is_one_of_three_kinds() -> None:
    for voice in (Voice.speaker("Ryan"), Voice.design("deep"), profile()):
        assert isinstance(voice, Voice)
        assert type(pickle.loads(pickle.dumps(voice))) is type(voice)
    assert Voice.speaker(" Ryan ") == Voice.speaker("ryan") != Voice.design("ryan")
    with pytest.raises(TypeError, match=r"make a voice with Voice\.speaker"):
        Voice()


def test_a_voice_without_a_profile(path: Path) -> None:
    for voice in (Voice.speaker("ryan"), Voice.design("deep")):
        with pytest.raises(InputError, match="only a cloned voice has a profile"):
            voice.save(path)
    with pytest.raises(InputError, match="does not say for which checkpoint"):
        Voice.cloned(Clone(VECTOR)).save(path)
    assert not path.exists()


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OSError, match="directory"):
        profile().save(target)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


# Which checkpoint


class _Stub:
    """The part of a manifest that a family looks at."""

    def __init__(self, **changes: Any) -> None:
        origin = {"model_type": "base", "model_size": "0b6", "name": "tiny", "codec": "c0dec"}
        numbers = {"hidden_size": 8, "codebooks": 16, "codebook_size": 2048}
        self.checkpoint = type(
            "Origin", (), origin | {k: changes[k] for k in origin & changes.keys()}
        )
        for name, value in numbers.items():
            setattr(self, name, changes.get(name, value))


def test_the_family_of_a_bundle() -> None:
    assert Family.of(_Stub()) == FAMILY  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_size": "1b7"}, "model size 0b6, this one has 1b7; clone it again with"),
        ({"hidden_size": 16}, "hidden size 8, this one has 16"),
        ({"codebooks": 8}, "codebooks 16, this one has 8"),
        ({"codebook_size": 512}, "codebook size 2048, this one has 512"),
        ({"model_type": "custom_voice"}, "cloned for a base checkpoint, this one is custom_voice"),
    ],
)
def test_another_checkpoint_is_refused_with_the_reason(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FAMILY.check(_Stub(**changes))  # type: ignore[arg-type]


def test_the_cast_asks_the_family() -> None:
    voice = Voice.cloned(Clone(VECTOR, None, None, FAMILY))
    assert match(_Stub(), voice, None).clone is voice  # type: ignore[arg-type]
    with pytest.raises(InputError, match="model size 0b6, this one has 1b7"):
        match(_Stub(model_size="1b7"), voice, None)  # type: ignore[arg-type]


def test_another_codec_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    FAMILY.check(_Stub(codec=None))  # type: ignore[arg-type]
    assert not caplog.records
    FAMILY.check(_Stub(codec="another"))  # type: ignore[arg-type]
    assert "another codec than this bundle's" in caplog.text


# Files that are no profiles


def _write(path: Path, tensors: dict[str, np.ndarray], content: dict[str, Any] | None) -> None:
    metadata = None if content is None else {"voice": json.dumps(content)}
    path.write_bytes(save(tensors, metadata))


def _content(path: Path, **changes: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    profile(**changes).save(path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    return load(data), json.loads(header["__metadata__"]["voice"])


def _with(name: str, value: Any) -> Callable[[dict, dict], None]:
    return lambda tensors, _: tensors.__setitem__(name, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _with("codes", np.full((3, 16), 2048, np.int16)),
            r"range over 2048\.\.2048, .* 0\.\.2047",
        ),
        (_with("codes", np.full((3, 16), -1, np.int16)), r"range over -1\.\.-1"),
        (_with("codes", np.zeros((3, 15), np.int16)), r"codes are int16 \(3, 15\)"),
        (_with("codes", np.zeros((0, 16), np.int16)), r"codes are int16 \(0, 16\)"),
        (_with("codes", np.zeros(16, np.int16)), r"codes are int16 \(16,\)"),
        (_with("codes", np.zeros((3, 16), np.int64)), "codes are int64"),
        (_with("speaker_vector", np.zeros(9, np.float32)), r"speaker_vector is float32 \(9,\)"),
        (_with("speaker_vector", np.zeros(8, np.float64)), "speaker_vector is float64"),
        (_with("speaker_vector", np.full(8, np.nan, "f4")), "values that are no numbers"),
        (_with("more", np.zeros(1)), r"has tensors \['codes', 'more', 'speaker_vector'\]"),
        (lambda t, _: t.pop("codes"), r"has tensors \['speaker_vector'\], not \['codes'"),
        (lambda t, _: t.pop("speaker_vector"), r"has tensors \['codes'\]"),
        (lambda _, c: c.update(text=None), r"not \['speaker_vector'\]"),
        (lambda _, c: c.update(format=2), "profile of format 2, this version reads 1"),
        (lambda _, c: c.update(format="1"), "is a damaged voice profile: Expected `int`"),
        (lambda _, c: c.update(extra=1), "unknown field `extra`"),
        (lambda _, c: c.pop("family"), "missing required field `family`"),
        (lambda _, c: c["family"].update(more=1), "unknown field `more`"),
        (lambda _, c: c["provenance"].pop("sha256"), "missing required field `sha256`"),
        (lambda _, c: c["provenance"].update(created="May"), "was created 'May'"),
    ],
)
def test_a_profile_with_something_wrong_in_it(
    path: Path, change: Callable[[dict, dict], Any], message: str
) -> None:
    tensors, content = _content(path)
    change(tensors, content)
    _write(path, tensors, content)
    with pytest.raises(InputError, match=message) as failure:
        Voice.load(path)
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)


_BOTH = "has a primed codec, but not the codes or the decoder of it"
_NOT_THAT = "its codes or its primed codec are not those that were written"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with("primed.past.key", VECTOR.reshape(1, 2, 4) + 1), _NOT_THAT),
        (_with("primed.past.key", VECTOR.reshape(1, 4, 2)), _NOT_THAT),
        (_with("primed.past.key", VECTOR.reshape(1, 2, 4).view(np.int32)), _NOT_THAT),
        (_with("primed.past.more", VECTOR), _NOT_THAT),
        (lambda t, _: t.pop("primed.past.last"), _NOT_THAT),
        (_with("codes", CODES[::-1].astype(np.int16)), _NOT_THAT),
        (lambda _, c: c["primed"].update(graph="f00"), _NOT_THAT),
        (lambda _, c: c["primed"].update(backend="ort-cuda"), _NOT_THAT),
        (lambda _, c: c["primed"].pop("backend"), "missing required field `backend`"),
        (lambda _, c: c["primed"].update(more=1), "unknown field `more`"),
        (lambda _, c: c.pop("primed"), _BOTH),
        (lambda t, c: (t.pop("codes"), c.update(text=None)), _BOTH),
    ],
)
def test_a_primed_codec_with_something_wrong_in_it(
    path: Path, change: Callable[[dict, dict], Any], message: str
) -> None:
    tensors, content = _content(path, primed=PRIMED)
    change(tensors, content)
    _write(path, tensors, content)
    with pytest.raises(InputError, match=f"is a damaged voice profile: .*{message}.*; create the"):
        Voice.load(path)


def test_other_files(path: Path, tmp_path: Path) -> None:
    _write(path, {"weight": np.zeros(3)}, None)
    with pytest.raises(InputError, match="a safetensors file, but no voice profile"):
        Voice.load(path)
    for data in (b"", b"RIFF....WAVE", b"\x80\x04\x95pickle", b"\xff" * 64):
        path.write_bytes(data)
        with pytest.raises(InputError, match="is not a voice profile or is damaged"):
            Voice.load(path)
    with path.open("wb") as file:
        file.truncate(KIND.largest + 1)
    with pytest.raises(InputError, match="too many for a voice profile"):
        Voice.load(path)
    with pytest.raises(FileNotFoundError):
        Voice.load(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        Voice.load(tmp_path)


def test_a_type_that_numpy_lacks(path: Path) -> None:
    header = json.dumps(
        {
            "__metadata__": {"voice": json.dumps(_content(path)[1])},
            "speaker_vector": {"dtype": "BF16", "shape": [8], "data_offsets": [0, 16]},
        }
    ).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(InputError, match="damaged"):
        Voice.load(path)


QUIET = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUIET
@given(data=st.data())
def test_any_bytes_in_a_profile_are_an_error_or_a_profile(path: Path, data: st.DataObject) -> None:
    profile(primed=data.draw(st.sampled_from([None, PRIMED]))).save(path)
    broken = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    try:
        found = Voice.load(path)
    except InputError:
        return
    assert np.isfinite(found.speaker_vector).all()
    assert found.codes is None or 0 <= found.codes.min() <= found.codes.max() < 2**15
    assert found.primed is None or found.primed.sha256() == PRIMED.sha256()


@QUIET
@given(
    codes=arrays.arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.uint16, np.float32]),
        arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=17),
    )
)
def test_any_array_as_codes(path: Path, codes: np.ndarray) -> None:
    tensors, content = _content(path)
    _write(path, tensors | {"codes": codes}, content)
    good = codes.dtype == np.int16 and codes.shape[1:] == (16,) and codes.size
    if good and codes.min() >= 0 and codes.max() < 2048:
        assert np.array_equal(Voice.load(path).codes, codes)
        return
    with pytest.raises(InputError, match="codes"):
        Voice.load(path)


def test_a_note_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    voice = profile()
    assert voice.provenance is not None
    for note, said in (
        ("\udce9", "surrogates not allowed"),
        (7, "Expected `str | null`, got `int`"),
    ):
        provenance = msgspec.structs.replace(voice.provenance, consent=note)
        with pytest.raises(
            InputError, match=rf"voice profile cannot be written \(.*{re.escape(said)}"
        ):
            replace(voice, provenance=provenance).save(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speaker_vector": [1.0]}, r"speaker_vector is \[1.0\]; expected an array of numbers"),
        ({"codes": np.zeros((3, 16))}, "codes is .*; expected an array of whole numbers"),
        ({"text": 7}, "text is 7; expected what the reference says, in words"),
    ],
)
def test_a_clone_of_the_wrong_types(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(profile(), **changes)
