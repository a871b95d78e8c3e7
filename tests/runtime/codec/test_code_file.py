"""Code files: what is written is read, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anna import CODES, profile
from qwen3_tts_edge import InputError, Voice
from qwen3_tts_edge.codec.code_file import CodeFile
from qwen3_tts_edge.codec.code_file import Content as CodeContent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anna.codes"


def _code_file(codes: np.ndarray = CODES, samples: int = 5000) -> CodeFile:
    content = CodeContent(
        format=1,
        samples=samples,
        sample_rate=24000,
        samples_per_frame=1920,
        codebook_size=2048,
        codec="c0dec",
    )
    return CodeFile(codes, content)


@given(
    codes=arrays.arrays(np.int64, (3, 16), elements=st.integers(0, 2047)),
    samples=st.integers(2 * 1920 + 1, 3 * 1920),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_code_file_is_read_as_written(path: Path, codes: np.ndarray, samples: int) -> None:
    _code_file(codes, samples).save(path)
    found = CodeFile.load(path)
    assert np.array_equal(found.codes, codes)
    assert found.content == _code_file(codes, samples).content


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (_code_file(samples=3840), "3 frames for 3840 samples"),
        (_code_file(samples=5761), "3 frames for 5761 samples"),
        (_code_file(samples=-(10**18)), "3 frames for -1000000000000000000 samples"),
        (_code_file(CODES + 2048), r"range over 2048\.\.2095"),
        (_code_file(CODES - 1), r"range over -1\.\.46"),
        (_code_file(CODES[0]), r"codes are int16 \(16,\)"),
        (_code_file(CODES[:0]), r"codes are int16 \(0, 16\)"),
    ],
)
def test_a_code_file_with_something_wrong_in_it(path: Path, file: CodeFile, message: str) -> None:
    file.save(path)
    with pytest.raises(InputError, match=message):
        CodeFile.load(path)


def test_a_voice_is_no_code_file_and_codes_are_no_voice(path: Path) -> None:
    profile().save(path)
    with pytest.raises(InputError, match="a safetensors file, but no code file"):
        CodeFile.load(path)
    _code_file().save(path)
    with pytest.raises(InputError, match="a safetensors file, but no voice profile"):
        Voice.load(path)
