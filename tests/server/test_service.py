"""What a server says of its bundle when it opens it."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.settings import Settings


@pytest.mark.parametrize(
    ("in_company", "abilities", "slots", "warned"),
    [
        ("different", {"avx512_vnni"}, 2, True),
        ("different", {"avx512_vnni"}, 1, False),
        ("equal with avx512_vnni", {"avx2", "avx512_bf16"}, 2, True),
        ("equal with avx512_vnni", {"avx2", "avx512_vnni"}, 2, False),
        ("equal", set(), 2, False),
    ],
)
def test_a_bundle_whose_codes_depend_on_company_is_warned_of(
    tmp_path: Path,
    voice_bundle: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    in_company: str,
    abilities: set[str],
    slots: int,
    warned: bool,
) -> None:
    monkeypatch.setattr("qwen3_tts_edge.server.service.cpu_can", abilities.__contains__)
    folder = tmp_path / "bundle"
    shutil.copytree(voice_bundle, folder)
    manifest = Manifest.load(folder)
    manifest = msgspec.structs.replace(manifest, in_company=in_company, precision="int8-fast")
    manifest.save(folder)
    Service.open(Settings(bundle=folder, slots=slots, threads=1))
    assert ("in int8-fast says something else here with the same seed" in caplog.text) is warned
    assert ("serve one in int8, or take --slots 1" in caplog.text) is warned


def test_an_alias_for_nobody_is_logged(
    voice_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aliases = {"alloy": "Low", "ash": "Nobody"}
    Service.open(Settings(bundle=voice_bundle, slots=1, threads=1, voice_aliases=aliases))
    assert caplog.messages == ["a --voice-alias is for nobody, and there is no such voice"]


def test_why_it_is_never_ready_is_logged(
    voice_bundle: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service.open(Settings(bundle=voice_bundle, slots=1, threads=1))

    def fails(*_: Any) -> None:
        raise MemoryError("injected by a test")

    async def run() -> bool:
        async with service.running():
            while not caplog.records:
                await asyncio.sleep(0.005)
            return service.ready

    monkeypatch.setattr(service.synthesizer, "speak_batch", fails)
    assert asyncio.run(asyncio.wait_for(run(), 60)) is False
    assert "never ready" in caplog.text
    assert "injected by a test" in caplog.text
