"""The house stands by effect: what is loaded by what, and no machine's paths.

Who may import whom are the contracts of import-linter in pyproject.toml.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Not safetensors: voice profiles and code files are such files, read with numpy alone.
OF_THE_EXPORT = {"torch", "onnx", "onnxscript", "onnx_ir", "transformers", "qwen3_tts_export"}
OF_THE_RUNTIME = {"soundfile", "soxr", "tokenizers", "onnxruntime", "qwen3_tts_edge.synthesizer"}
EVERY_EXPORT_COMMAND = """
from qwen3_tts_export.cli import commands
for name in commands.list_commands(None): commands.get_command(None, name)
"""


def loaded(code: str) -> set[str]:
    """The modules of a process that has run `code`."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_export_command_loads_nothing_of_what_speaks() -> None:
    """Nor PyTorch: help comes at once, and engines are built where none of it is installed."""
    found = loaded(EVERY_EXPORT_COMMAND)
    assert "qwen3_tts_export.cli.engines" in found
    assert not found & {*OF_THE_RUNTIME, "torch", "onnx"}


def test_the_command_starts_where_there_is_no_resource_module() -> None:
    """As on Windows."""
    assert loaded("import sys; sys.modules['resource'] = None; import qwen3_tts_edge.cli")


def test_speaking_loads_nothing_of_the_export(voice_bundle: Path) -> None:
    code = f"""
from qwen3_tts_edge import Synthesizer
audio = Synthesizer.open({str(voice_bundle)!r}, max_seconds=1).speak("Hello.", max_seconds=0.5)
assert len(audio.samples)"""
    assert not loaded(code) & OF_THE_EXPORT


def test_every_public_name_is_there() -> None:
    import qwen3_tts_edge

    for name in qwen3_tts_edge.__all__:
        assert getattr(qwen3_tts_edge, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Speaker'"):
        _ = qwen3_tts_edge.Speaker


def test_importing_touches_nothing() -> None:
    """No ONNX Runtime, no thread pools, no environment: until a bundle is opened."""
    code = f"""
import os, sys, threading
before = dict(os.environ)
import qwen3_tts_edge, qwen3_tts_edge.cli, qwen3_tts_export.cli
{EVERY_EXPORT_COMMAND}
print("onnxruntime" in sys.modules, "torch" in sys.modules, dict(os.environ) == before,
      threading.active_count())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "1"]


def test_the_repository_has_no_machine_paths() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine_path = re.compile(rb"(?<![\w.~*/-])/(home|root|Users|work|mnt|tmp)" + rb"/\w")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or path.suffix == ".safetensors":
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if machine_path.search(line):
                found.append(f"{name}:{number}")
    assert found == []
