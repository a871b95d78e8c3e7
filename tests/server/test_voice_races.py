"""Voices that several clients keep, delete, list and speak with at the same time."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from qwen3_tts_edge import Synthesizer, Voice
from qwen3_tts_edge.sound.pcm import to_pcm
from qwen3_tts_edge.voices import library
from qwen3_tts_edge.voices.voice import Clone
from server.serving import Served
from server.uploads import SAID, upload

LONG = "Who is it? It is nobody. " * 4


def listed(http: httpx2.Client) -> list[str]:
    return [each["name"] for each in http.get("/v1/audio/voices").json()["voices"]]


def speak(http: httpx2.Client, voice: str) -> httpx2.Response:
    body = {"input": "Yes.", "voice": voice, "response_format": "pcm", "max_new_tokens": 2}
    return http.post("/v1/audio/speech", json=body)


def before(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, first: Callable[[], object]
) -> None:
    """Have something done, once, before a method or a function is called."""
    plain = getattr(owner, name)

    def called(*asked: Any, **more: Any) -> Any:
        monkeypatch.setattr(owner, name, plain)
        first()
        return plain(*asked, **more)

    monkeypatch.setattr(owner, name, called)


@pytest.fixture
def together(cloning: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let uploads go on when two of them are heard, whose names were free when they came."""
    heard, arrived, both = cloning.service.references.heard, [], asyncio.Event()

    async def waited(*asked: Any, **more: Any) -> Clone:
        voice = await heard(*asked, **more)
        arrived.append(voice)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        return voice

    monkeypatch.setattr(cloning.service.references, "heard", waited)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("names", [("anna", "anna"), ("anna", "Anna")])
def test_of_two_uploads_of_one_name_the_first_is_kept(
    http: httpx2.Client, names: tuple[str, str]
) -> None:
    texts = ("Who is it?", "It is me.")
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda n: upload(http, names[n], ref_text=texts[n]), (0, 1))
    assert {first.status_code, second.status_code} == {200, 400}
    kept = 0 if first.status_code == 200 else 1
    refused = (second, first)[kept].json()["error"]
    assert refused["param"] == "name"
    assert f"there is a voice {names[kept]!r} already" in refused["message"]
    assert listed(http) == [names[kept]]
    assert Voice.load(library.path_of(names[kept])).text == texts[kept]


@pytest.mark.usefixtures("together")
def test_of_two_uploads_that_replace_one_is_kept_whole(http: httpx2.Client) -> None:
    texts = ("Who is it?", "It is me.")
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda text: upload(http, ref_text=text, replace="true"), texts))
    assert [each.status_code for each in answers] == [200, 200]
    assert Voice.load(library.path_of("anna")).text in texts
    assert [each.name for each in library.folder().iterdir()] == [library.path_of("anna").name]


def test_who_speaks_with_a_voice_that_is_deleted_goes_on(http: httpx2.Client, base: Path) -> None:
    assert upload(http, ref_text=SAID).status_code == 200
    voice = Voice.load(library.path_of("anna"))
    body = {"input": LONG, "voice": "anna", "seed": 7, "response_format": "pcm"}
    with http.stream("POST", "/v1/audio/speech", json={**body, "max_new_tokens": 50}) as answer:
        parts = answer.iter_bytes()
        heard = next(parts)
        assert http.delete("/v1/audio/voices/ANNA").json()["id"] == "anna"
        heard += b"".join(parts)
    stream = Synthesizer.open(base, verify=False).stream(LONG, voice, seed=7, max_seconds=4.0)
    assert heard == b"".join(to_pcm(chunk.samples) for chunk in stream)
    assert "there is no voice 'anna'" in speak(http, "anna").json()["error"]["message"]
    assert upload(http).status_code == 200  # its name is free


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
@pytest.mark.parametrize(
    ("owner", "name"), [(Clone, "save"), (Path, "write_bytes"), (Path, "replace")]
)
def test_a_delete_in_the_midst_of_an_upload_is_of_what_was_there_before(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, there: bool
) -> None:
    """And a list knows nothing yet of what is not there as a whole."""
    if there:
        assert upload(http).status_code == 200
    deleted, lists = [], []

    def meanwhile() -> None:
        lists.append(listed(http))
        deleted.append(http.delete("/v1/audio/voices/anna").status_code)
        lists.append(listed(http))

    before(monkeypatch, owner, name, meanwhile)
    assert upload(http, ref_text=SAID, replace="true").status_code == 200
    assert deleted == [200 if there else 404]
    assert lists == [["anna"] if there else [], []]
    assert Voice.load(library.path_of("anna")).text == SAID
    assert speak(http, "anna").status_code == 200


def test_a_file_that_is_gone_between_two_looks_is_no_voice(
    http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another process deletes it."""

    def gone_after(look: Callable[[], list[str]]) -> list[str]:
        found = look()
        library.path_of("anna").unlink(missing_ok=True)
        return found

    answers = []
    names = library.names
    for ask in (
        lambda: speak(http, "anna"),
        lambda: http.delete("/v1/audio/voices/anna"),
        lambda: http.get("/v1/audio/voices"),
    ):
        assert upload(http).status_code == 200
        with monkeypatch.context() as patched:
            patched.setattr(library, "names", lambda: gone_after(names))
            answers.append(ask())
    spoken, deleted, told = answers
    assert (spoken.status_code, spoken.json()["error"]["param"]) == (400, "voice")
    assert spoken.json()["error"]["message"] == "there is no voice 'anna' any more"
    assert deleted.status_code == 404
    assert told.json() == {"voices": [], "uploaded_voices": []}


KILLED = """
import os, signal, sys
from pathlib import Path
from qwen3_tts_edge import Voice
from qwen3_tts_edge.voices import library

voice = Voice.load(sys.argv[1])
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with library.held(sys.argv[2], replace=True) as path:
    voice.save(path)
"""


@pytest.mark.parametrize("name", ["anna", "bob"], ids=["replaced", "new"])
def test_a_kill_in_the_midst_of_keeping_leaves_what_was_there(
    http: httpx2.Client, tmp_path: Path, name: str
) -> None:
    assert upload(http, "other", ref_text=SAID).status_code == 200
    source = library.path_of("other").rename(tmp_path / "other.safetensors")
    assert upload(http).status_code == 200
    old = library.path_of("anna").read_bytes()
    command = [sys.executable, "-c", KILLED, str(source), name]
    assert subprocess.run(command, check=False, env=os.environ).returncode == -signal.SIGKILL
    assert len(list(library.folder().iterdir())) > 1  # what it was writing
    assert listed(http) == ["anna"]
    assert library.path_of("anna").read_bytes() == old
    assert speak(http, name).status_code == (200 if name == "anna" else 400)
    if name == "bob":
        assert http.delete("/v1/audio/voices/bob").status_code == 404
    assert upload(http, name, ref_text=SAID, replace="true").status_code == 200
    assert Voice.load(library.path_of(name)).text == SAID
    kept = sorted({library.path_of(each).name for each in ("anna", name)})
    assert sorted(each.name for each in library.folder().iterdir()) == kept


def test_names_are_the_same_in_any_letters(http: httpx2.Client) -> None:
    assert upload(http, "Zo\u00eb").status_code == 200
    for name in ("Zo\u00eb", "ZO\u00cb", "zoe\u0308"):
        assert speak(http, name).status_code == 200
        assert upload(http, name).status_code == 400
    assert http.delete("/v1/audio/voices/zoe\u0308").json()["id"] == "Zo\u00eb"
    assert listed(http) == []
