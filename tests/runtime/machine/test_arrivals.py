"""`bench --arrivals`: speech that begins while others speak."""

import json
from pathlib import Path

from click.testing import CliRunner

from qwen3_tts_edge.cli import commands


def test_all_that_arrive_are_spoken(voice_bundle: Path) -> None:
    asked = ["bench", str(voice_bundle), "--arrivals", "--runs", "2", "--seconds", "0.24"]
    done = CliRunner().invoke(commands, asked)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found["first_audio_ms"]) == ["named speaker"]
    assert min(found["first_audio_ms"]["named speaker"].values()) > 0
    for way in ("batch", "at_random"):
        assert list(found[way]) == ["1", "2", "4", "8"]
        assert min(found[way].values()) > 0
    assert "at random" in done.stdout


def test_what_is_for_a_server_is_not_for_a_bundle() -> None:
    done = CliRunner().invoke(commands, ["bench", "--streams", "3"])
    assert done.exit_code == 2
    assert "--streams is for --server" in done.output
