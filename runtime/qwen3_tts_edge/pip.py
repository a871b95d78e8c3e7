"""How pip, and the command that exports, are called where this runs."""

import re
import shlex
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

_EXPORT = "qwen3-tts-export"


def by_own_pip(message: str) -> str:
    """Let what a message says to install be installed for the Python that runs this.

    Who has not activated an environment, as after `make speak`, has another `pip` on PATH, or none,
    and no `qwen3-tts-export`.
    """
    message = re.sub(rf"(?<![\w/-]){_EXPORT}(?= (?:bundle|engines) )", lambda _: _export(), message)
    return re.sub(r"\bpip ((?:un)?install) ", lambda found: f"{_own(found[1])} ", message)


def _export() -> str:
    """Name the command that lies beside this Python, where it is not the shell's already."""
    python = Path(sys.executable or "")
    own = shutil.which(_EXPORT, path=str(python.parent)) if python.is_file() else None
    found = shutil.which(_EXPORT)
    if own is None or (found is not None and Path(found).absolute() == Path(own).absolute()):
        return _EXPORT
    return _quoted(Path(own))


def _own(verb: str) -> str:
    python = Path(sys.executable or "")
    if getattr(sys, "frozen", False) or not python.is_file():
        return f"pip {verb}"  # a program that holds Python: its maker knows where
    # Not by `find_spec`: setuptools takes that for pip itself, and then fails when it is imported.
    if not any(distributions(name="pip")):  # as in the environments that uv makes
        return f"uv pip {verb} --python {_quoted(python)}"
    found = shutil.which("pip")
    own = found is not None and Path(found).absolute().parent == python.absolute().parent
    return f"pip {verb}" if own else f"{_quoted(python)} -m pip {verb}"


def _quoted(path: Path) -> str:
    return f'"{path}"' if sys.platform == "win32" else shlex.quote(str(path))
