"""What `make` sets up, or leaves where it cannot."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")


def _set_up(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Make the environment with a shell script in the place of Python."""
    shutil.copy(ROOT / "Makefile", folder)
    fake = folder / "python3.x"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    asked = ["make", "--no-print-directory", f"PYTHON={fake}", ".venv/bin/python"]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)


def test_a_python_that_is_too_old_is_named_and_leaves_no_environment(tmp_path: Path) -> None:
    """Pip said that a dependency cannot be found, and with a newer Python it did so again."""
    old = "import sys; sys.version_info = (3, 9, 18); exec(sys.argv[2])"
    done = _set_up(tmp_path, f'exec "{sys.executable}" -c "{old}" "$@"')
    assert done.returncode
    assert f"{tmp_path / 'python3.x'} is Python 3.9; expected 3.10 or later" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_environment_that_could_not_be_made_whole_is_not_left(tmp_path: Path) -> None:
    """As where Debian's package of `venv` is missing: there is a Python then, but no pip."""
    done = _set_up(
        tmp_path, '[ "$1" = -c ] || { mkdir -p .venv/bin; touch .venv/bin/python; exit 1; }'
    )
    assert done.returncode
    assert not (tmp_path / ".venv").exists()
