"""The server that all protocols are tested on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("uvicorn")

if TYPE_CHECKING:
    import httpx2

    from qwen3_tts_edge.server.speaking.session import Session
    from server.serving import Served


@pytest.fixture(scope="session")
def served(voice_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """Serve the bundled voice, four at once and 32 who may wait; everybody may come in."""
    from qwen3_tts_edge.server.listening import Tcp, Unix
    from qwen3_tts_edge.server.settings import Settings
    from server.serving import serving

    addresses = (Tcp("127.0.0.1", 0), Unix(tmp_path_factory.mktemp("wyoming") / "socket"))
    with ExitStack() as sockets:
        opened = [sockets.enter_context(address.opened()) for address in addresses]
        settings = Settings(bundle=voice_bundle, slots=4)
        yield sockets.enter_context(serving(settings, wyoming_on=opened))


@pytest.fixture(scope="session")
def base(request: pytest.FixtureRequest) -> Path:
    """Give a tiny bundle that clones voices."""
    pytest.importorskip("torch")
    make: Callable[..., Path] = request.getfixturevalue("tiny_bundle")
    return make("base")


@pytest.fixture(scope="session")
def cloning(base: Path, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """Serve it, with an empty folder of voices."""
    from qwen3_tts_edge.server.settings import Settings
    from qwen3_tts_edge.voices import library
    from server.serving import serving

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(library.VARIABLE, str(tmp_path_factory.mktemp("voices") / "kept"))
        with serving(Settings(bundle=base, slots=2)) as server:
            yield server


@pytest.fixture
def http(cloning: "Served") -> "Iterator[httpx2.Client]":
    """Give a client of the server that clones; the voices that it keeps are removed."""
    import httpx2

    from qwen3_tts_edge.voices import library

    with httpx2.Client(base_url=cloning.url, timeout=60) as client:
        yield client
    for name in library.names():
        library.path_of(name).unlink()


@pytest.fixture
def sessions(served: "Served", monkeypatch: pytest.MonkeyPatch) -> "Iterator[list[Session]]":
    """Give the sessions as they begin, and so their seeds: nobody can ask for one in Wyoming."""
    found: list[Session] = []
    speak = served.service.speak

    async def noted(*asked: Any, **how: Any) -> "Session":
        found.append(await speak(*asked, **how))
        return found[-1]

    monkeypatch.setattr(served.service, "speak", noted)
    yield found
    served.settle()
