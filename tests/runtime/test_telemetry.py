"""Libraries that report who uses them are kept from it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# By these libraries see that they run in CI, where they keep quiet by themselves.
_CI = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
_ORT = """
from qwen3_tts_edge import Synthesizer
Synthesizer.open({bundle!r}, backend="ort-cpu", max_seconds=1).speak("Hello.", max_seconds=0.5)
"""
_OPENVINO = "from qwen3_tts_edge.backends.openvino.library import core; core()"


@pytest.mark.parametrize(
    ("library", "code"), [("onnxruntime", _ORT), ("openvino", _OPENVINO)], ids=["ort", "openvino"]
)
def test_nobody_gets_an_identifier_to_be_reported_by(
    tmp_path: Path, voice_bundle: Path, library: str, code: str
) -> None:
    """ONNX Runtime leaves one, and a database, in a home folder; OpenVINO one in `~/intel`."""
    pytest.importorskip(library)
    environment = {name: given for name, given in os.environ.items() if name not in _CI}
    subprocess.run(
        [sys.executable, "-c", code.format(bundle=str(voice_bundle))],
        env={**environment, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        check=True,
    )
    assert list(tmp_path.iterdir()) == []


def test_who_wants_reports_says_so() -> None:
    code = "import os, qwen3_tts_edge.backends.ort as _; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    asked = [sys.executable, "-c", code]
    said = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "0"
