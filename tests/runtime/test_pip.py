"""What is to be installed is installed for the Python that runs this."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qwen3_tts_edge.pip import by_own_pip

LACK = 'serving needs packages; run: pip install "qwen3-tts-edge[serve]"'
BOTH = 'run: pip uninstall -y onnxruntime && pip install "qwen3-tts-edge[gpu]"'


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in a folder with a blank in its name, and an empty PATH."""
    for name in ("python", "pip"):
        file = tmp_path / "my venv" / "bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(file.with_name("python")))
    monkeypatch.setenv("PATH", str(tmp_path))
    return file.with_name("python")


def test_the_pip_of_an_environment_that_is_active_is_called_pip(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(python.parent))
    assert by_own_pip(BOTH) == BOTH


@pytest.mark.skipif(sys.platform == "win32", reason="quotes otherwise there")
def test_pip_of_another_python_on_path_is_not_what_a_remedy_calls(python: Path) -> None:
    """As after `make speak`, whose environment nobody has activated."""
    own = f"{shlex.quote(str(python))} -m pip"
    assert by_own_pip(LACK) == LACK.replace("pip", own)
    assert by_own_pip(BOTH) == BOTH.replace("pip", own)


MAKE = "no bundle; make one: qwen3-tts-export bundle CHECKPOINT -o DIR"


@pytest.mark.skipif(sys.platform == "win32", reason="quotes otherwise there")
def test_the_command_that_exports_is_called_by_path_where_the_shell_has_none(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by_own_pip(MAKE) == MAKE  # nor is it here
    command = python.with_name("qwen3-tts-export")
    command.touch(0o755)
    called = MAKE.replace("qwen3-tts-export", shlex.quote(str(command)))
    assert by_own_pip(MAKE) == by_own_pip(called) == called
    monkeypatch.setenv("PATH", str(python.parent))
    assert by_own_pip(MAKE) == MAKE


def test_an_environment_without_pip_is_installed_into_from_outside(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen3_tts_edge.pip.distributions", lambda name: [])
    install = f"run: uv pip install --python {shlex.quote(str(python))} "
    assert by_own_pip(LACK) == LACK.replace("run: pip install ", install)


def test_setuptools_can_be_imported_after_a_remedy_was_told() -> None:
    """As PyTorch's compiler does, in a program that shows an error and goes on."""
    code = (
        f"from qwen3_tts_edge.pip import by_own_pip; by_own_pip({LACK!r}); "
        "import distutils.core, setuptools"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AssertionError" not in told.stderr


def test_other_words_stay_as_they_are(python: Path) -> None:
    for message in ("a pipe", "pip is not there", "no pip installed it"):
        assert by_own_pip(message) == message
