"""The house stands: who may import whom, what the runtime loads, and no machine's paths."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUNTIME = ROOT / "runtime" / "qwen3_tts_edge"
EXPORT = ROOT / "export" / "qwen3_tts_export"

# A room imports from lower floors, and inside itself. A new room gets its floor here.
FLOORS = (
    {"errors", "version", "part"},
    {"graph_spec", "tensor_file"},
    {"manifest"},
    {"profile", "engine_key"},
    {"voice", "library"},
    {"tokenizer", "sampling", "audio", "metrics", "memory", "bundled", "backends", "mel"},
    {"embeddings", "casting", "codec", "codec_encoder", "sound", "machine", "graph_reads"},
    {"reference", "bandwidth", "patience"},
    {"prompt", "listener", "code_file", "roofline"},
    {"frame_loop", "speech", "request"},
    {"synthesizer"},
    {"bench", "compat", "doctor"},
    {"cli"},
)
# Not safetensors: voice profiles and code files are such files, read with numpy alone.
FOREIGN = {"torch", "onnx", "onnxscript", "transformers", "qwen3_tts_export"}
# The door and what is said there of graphs, the plans both sides keep to, the GPU, and the one page
# of both command lines.
OPEN_TO_EXPORT = {
    "manifest",
    "graph_spec",
    "errors",
    "version",
    "memory",
    "engine_key",
    "backends.cuda_driver",
    "backends.tensorrt_library",
    "cli.program",
}
# These listen to a bundle as a user would.
LISTENERS = {"parity.py", "judge.py", "forced_graph.py"}


def modules(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if path != root / "__init__.py")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, `from x import y` as `x.y`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_used(path: Path) -> set[str]:
    return {
        name.removeprefix("qwen3_tts_edge.").split(".")[0]
        for name in imports(path)
        if name.startswith("qwen3_tts_edge.")
    }


@pytest.mark.parametrize("path", modules(RUNTIME), ids=lambda path: str(path.relative_to(RUNTIME)))
def test_a_room_imports_only_lower_floors(path: Path) -> None:
    room = path.relative_to(RUNTIME).parts[0].removesuffix(".py")
    floors = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    assert floors, f"the room {room} is new: give it a floor in FLOORS"
    lower = set().union(*FLOORS[: floors[0]])
    assert rooms_used(path) <= lower | {room}


@pytest.mark.parametrize("path", modules(RUNTIME), ids=lambda path: str(path.relative_to(RUNTIME)))
def test_the_runtime_imports_nothing_of_the_export(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & FOREIGN


@pytest.mark.parametrize(
    "path",
    [path for path in modules(EXPORT) if path.name not in LISTENERS],
    ids=lambda path: str(path.relative_to(EXPORT)),
)
def test_the_export_knows_only_the_door_of_the_runtime(path: Path) -> None:
    used = {name for name in imports(path) if name.startswith("qwen3_tts_edge")}
    allowed = tuple(f"qwen3_tts_edge.{name}." for name in OPEN_TO_EXPORT)
    assert [name for name in used if not (name + ".").startswith(allowed)] == []


def test_only_the_ort_backends_import_onnxruntime() -> None:
    users = {
        path.relative_to(RUNTIME).as_posix()
        for path in modules(RUNTIME)
        if any(name.split(".")[0] == "onnxruntime" for name in imports(path))
    }
    assert users == {f"backends/{name}.py" for name in ("ort", "ort_cuda", "ort_graph")}


def test_python_3_10_is_enough() -> None:
    """JetPack 6 has no other, and TensorRT comes with it. The tests themselves need 3.11."""
    vermin = [Path(sys.executable).with_name("vermin"), "--target=3.10-", "--no-tips"]
    command = [*vermin, "--violations", RUNTIME, EXPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_floor_still_has_its_rooms() -> None:
    there = {path.relative_to(RUNTIME).parts[0].removesuffix(".py") for path in modules(RUNTIME)}
    assert set().union(*FLOORS) <= there


def test_speaking_loads_nothing_of_the_export(voice_bundle: Path) -> None:
    code = f"""
import sys
from qwen3_tts_edge import Synthesizer
audio = Synthesizer.open({str(voice_bundle)!r}, max_seconds=1).speak("Hello.", max_seconds=0.5)
assert len(audio.samples)
print(sorted({FOREIGN!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_touches_nothing() -> None:
    """No ONNX Runtime, no thread pools, no environment: until a bundle is opened."""
    code = """
import os, sys, threading
before = dict(os.environ)
import qwen3_tts_edge, qwen3_tts_edge.cli, qwen3_tts_export.cli
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
