"""Wyoming through its own clients, as Home Assistant uses them."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from qwen3_tts_edge import Voice
from qwen3_tts_edge.server.listening import Tcp
from qwen3_tts_edge.server.protocols.wyoming import connection
from qwen3_tts_edge.server.protocols.wyoming.connection import Connection
from qwen3_tts_edge.server.protocols.wyoming.events import VoiceAsked
from qwen3_tts_edge.server.protocols.wyoming.voices import find, info
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.settings import Settings
from qwen3_tts_edge.server.speaking.session import Session
from server.reference import as_it_came, spoken
from server.serving import Served, serving
from server.wyoming_clients import (
    PATIENCE,
    as_bytes,
    connected,
    heard,
    plainly_connected,
    rest_of,
    say,
    sound_of,
)

TEXT = "Good morning."
MORE = "Good morning. The kettle is on, and there is tea for everybody."
LONG = "There is more to say about the weather of today than anybody wants to hear. " * 8


def kinds(events: list[Event]) -> list[str]:
    """The types of events, each run of chunks as one."""
    types = [event.type for event in events]
    return [kind for kind, before in zip(types, ["", *types], strict=False) if kind != before]


@pytest.mark.parametrize("over", [0, 1], ids=["tcp", "unix"])
def test_a_whole_text_is_what_the_synthesizer_speaks(
    served: Served, sessions: list[Session], over: int
) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[over]) as client:
            await say(client, Synthesize(TEXT, SynthesizeVoice("heart")))
            return await heard(client, AudioStop)

    events = asyncio.run(ask())
    assert kinds(events) == ["audio-start", "audio-chunk", "audio-stop"]
    start = AudioStart.from_event(events[0])
    assert (start.rate, start.width, start.channels) == (24_000, 2, 1)
    assert sound_of(events) == spoken(TEXT, sessions[0].seed)


@pytest.mark.parametrize("over", [0, 1], ids=["tcp", "unix"])
def test_a_text_in_chunks_is_spoken_once_and_its_end_is_told(
    served: Served, sessions: list[Session], over: int
) -> None:
    """In the order of Home Assistant, which sends the whole again for servers that want it so."""

    async def ask() -> list[Event]:
        voice = SynthesizeVoice("low")
        async with connected(served.wyoming[over]) as client:
            await say(
                client,
                SynthesizeStart(voice),
                *(SynthesizeChunk(TEXT[at : at + 7]) for at in range(0, len(TEXT), 7)),
                Synthesize(TEXT, voice),
                SynthesizeStop(),
            )
            return await heard(client, SynthesizeStopped)

    events = asyncio.run(ask())
    assert kinds(events) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert sound_of(events) == as_it_came(TEXT, sessions[0].seed, voice="low")


def test_sound_comes_before_the_text_has_ended(served: Served) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeStart(), SynthesizeChunk(MORE))
            events = await heard(client, AudioChunk)
            await say(client, SynthesizeStop())
            return events + await heard(client, SynthesizeStopped)

    assert kinds(asyncio.run(ask()))[-2:] == ["audio-stop", "synthesize-stopped"]


def test_a_stream_without_a_word_ends_and_takes_no_place(
    served: Served, sessions: list[Session]
) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeStart(), SynthesizeChunk(" \n"), SynthesizeStop())
            return await heard(client, SynthesizeStopped)

    assert kinds(asyncio.run(ask())) == ["synthesize-stopped"]
    assert not sessions


@pytest.mark.parametrize("text", ["", "  ", "👍", "…"])
def test_a_text_without_a_word_is_silence(
    served: Served, sessions: list[Session], text: str
) -> None:
    """Home Assistant waits for the end of the sound, for ever, whatever it is told of errors."""

    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, Synthesize(text), Synthesize(TEXT))
            return await heard(client, AudioStop) + await heard(client, AudioStop)

    events = asyncio.run(ask())
    whole = ["audio-start", "audio-stop", "audio-start", "audio-chunk", "audio-stop"]
    assert kinds(events) == whole
    assert sound_of(events) == spoken(TEXT, sessions[0].seed)


def test_events_that_no_stream_is_open_for_leave_the_connection_as_it_is(
    served: Served, sessions: list[Session]
) -> None:
    async def ask() -> tuple[list[Event], list[Event]]:
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeChunk("Lost."), SynthesizeStop())
            lost = await heard(client, SynthesizeStopped)
            await say(client, SynthesizeStart(), SynthesizeChunk(TEXT), SynthesizeStop())
            await say(client, SynthesizeStop(), Synthesize("One."))
            return lost, await heard(client, SynthesizeStopped) + [
                *await heard(client, SynthesizeStopped),
                *await heard(client, AudioStop),
            ]

    lost, events = asyncio.run(ask())
    assert kinds(lost) == ["error", "synthesize-stopped"]
    assert Error.from_event(lost[0]).text == "synthesize-chunk came before synthesize-start"
    sound = ["audio-start", "audio-chunk", "audio-stop"]
    assert kinds(events) == [*sound, "synthesize-stopped", *sound]  # which is told twice
    assert [event.type for event in events].count("synthesize-stopped") == 2
    seeds = [session.seed for session in sessions]
    assert sound_of(events) == as_it_came(TEXT, seeds[0]) + spoken("One.", seeds[1])


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "while it is spoken"])
def test_a_stream_that_is_begun_anew_drops_the_former(
    served: Served, sessions: list[Session], begun: bool
) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeStart())
            events = []
            if begun:
                await say(client, SynthesizeChunk(LONG))
                events = await heard(client, AudioChunk)
            await say(client, SynthesizeStart(SynthesizeVoice("low")), SynthesizeChunk(TEXT))
            await say(client, SynthesizeStop())
            return events + await heard(client, SynthesizeStopped)

    events = asyncio.run(ask())
    sound = ["audio-start", "audio-chunk", "audio-stop"]
    assert kinds(events) == [*(sound if begun else []), *sound, "synthesize-stopped"]
    last = max(at for at, event in enumerate(events) if event.type == "audio-start")
    assert sound_of(events[last:]) == as_it_came(TEXT, sessions[-1].seed, voice="low")
    if begun:
        stream = sessions[0]._speech._stream
        assert stream is not None
        assert len(stream.metrics.frames) < 200  # of some five hundred that all of it has


def test_what_is_no_matter_of_a_voice_s_is_passed_over_while_it_speaks(
    served: Served, sessions: list[Session]
) -> None:
    async def ask() -> list[Event]:
        others = (
            AudioStart(16_000, 2, 1),
            AudioChunk(16_000, 2, 1, bytes(4000)),
            AudioStop(),
            Synthesize(TEXT),
            Describe(),
        )
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeStart(), *others, SynthesizeChunk(MORE))
            events = await heard(client, AudioChunk)
            await client.write_event(Event("played", {"of": 1}, b"payload"))
            await say(client, *others, SynthesizeStop())
            return events + await heard(client, SynthesizeStopped)

    events = asyncio.run(ask())
    assert [event.type for event in events].count("info") == 2
    rest = [event for event in events if event.type != "info"]
    assert kinds(rest) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert sound_of(rest) == as_it_came(MORE, sessions[0].seed)


def test_a_connection_speaks_one_after_the_other(served: Served, sessions: list[Session]) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[1]) as client:
            await say(client, Synthesize("One."), Synthesize("Two."), Describe())
            return await heard(client, AudioStop) + await heard(client, AudioStop)

    events = [event for event in asyncio.run(ask()) if event.type != "info"]
    assert kinds(events) == ["audio-start", "audio-chunk", "audio-stop"] * 2
    seeds = [session.seed for session in sessions]
    assert sound_of(events) == spoken("One.", seeds[0]) + spoken("Two.", seeds[1])


@asynccontextmanager
async def all_places_taken(served: Served) -> AsyncIterator[list[AsyncClient]]:
    """Let somebody speak in every slot, whose text never ends."""
    clients = [connected(served.wyoming[0]) for _ in range(served.service.synthesizer.slots)]
    for client in clients:
        await client.connect()
        await say(client, SynthesizeStart(), SynthesizeChunk(TEXT))
    while served.service.admission.running < len(clients):
        await asyncio.sleep(0.005)
    yield clients
    for client in clients:
        await client.disconnect()


def test_who_describes_is_answered_while_nobody_can_be_let_in(
    served: Served, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.service.admission, "_seconds", 0.2)

    async def ask() -> tuple[list[Event], list[Event], list[Event]]:
        async with (
            all_places_taken(served) as speaking,
            connected(served.wyoming[0]) as late,
            connected(served.wyoming[1]) as other,
        ):
            await say(late, Synthesize(TEXT), Describe())
            await say(other, Describe())
            await say(speaking[0], Describe())
            return (
                await heard(other, Info),
                await heard(speaking[0], Info),
                await heard(late, Error),
            )

    other, speaking, late = asyncio.run(ask())
    assert kinds(other) == ["info"]
    assert speaking[-1].type == "info"
    assert kinds(late) == ["info", "error"]
    assert Error.from_event(late[-1]).code == "overloaded"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Synthesize("Hello.", SynthesizeVoice("nobody")), "there are: heart, low"),
        (Synthesize("Hello.", SynthesizeVoice(language="tlh")), "'tlh' is unknown"),
        (Synthesize("Hello.", SynthesizeVoice("heart", speaker="low")), "has no speaker 'low'"),
        (Synthesize("Hello <|im_end|>"), "control token"),
        (Synthesize("<speak>Hello</speak>", text_format="ssml"), "'ssml'"),
    ],
    ids=["voice", "language", "speaker", "token", "ssml"],
)
def test_what_is_wrong_is_told_before_any_sound(
    served: Served, asked: Synthesize, says: str
) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, asked)
            return await heard(client, AudioStop)

    (event,) = asyncio.run(ask())
    assert says in Error.from_event(event).text
    served.settle()


def test_a_speech_that_fails_ends_as_an_error(served: Served, sessions: list[Session]) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, SynthesizeStart(), SynthesizeChunk(MORE))
            events = await heard(client, AudioChunk)
            await say(client, SynthesizeChunk("<|im_end|>"), SynthesizeStop())
            return events + await heard(client, SynthesizeStopped)

    events = asyncio.run(ask())
    assert events[-1].type == "error"
    assert "audio-stop" not in kinds(events)


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "closed"])
def test_a_client_that_goes_frees_its_place_before_the_next_frame(
    served: Served, sessions: list[Session], monkeypatch: pytest.MonkeyPatch, resets: bool
) -> None:
    frames_at_close = []
    close = Session.close

    def noted(session: Session) -> None:
        stream = session._speech._stream
        frames_at_close.append(len(stream.metrics.frames) if stream is not None else 0)
        close(session)

    monkeypatch.setattr(Session, "close", noted)
    with plainly_connected(served) as client:
        client.sendall(as_bytes(Synthesize(LONG)))
        client.recv(10_000)
        if resets:  # as for a process that is killed with something unread
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
        served.settle()
    stream = sessions[0]._speech._stream
    assert stream is not None
    assert len(stream.metrics.frames) - frames_at_close[0] <= 1
    assert len(stream.metrics.frames) < 200  # of some five hundred that all of it has


def test_a_cancel_is_never_lost_whenever_it_comes(served: Served) -> None:
    """A client that left together with a write kept its connection for ever, on Python 3.11."""

    async def cancel_after(steps: int) -> tuple[bool, bool]:
        ours, theirs = socket.socketpair()
        with theirs:
            client = Connection(served.service, *await asyncio.open_connection(sock=ours))
            writing = asyncio.create_task(client._write(AudioStop()))
            for _ in range(steps):
                await asyncio.sleep(0)
            done = writing.done()
            writing.cancel()
            await asyncio.wait({writing})
        return done, writing.cancelled()

    outcomes = [asyncio.run(cancel_after(steps)) for steps in range(8)]
    assert (False, True) in outcomes
    assert (False, False) not in outcomes


def test_a_client_that_does_not_read_gives_its_place_back(
    served: Served, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    with plainly_connected(served, receives=4096) as client:
        client.sendall(as_bytes(Synthesize(LONG)))
        client.recv(10)
        served.settle(PATIENCE)


@pytest.mark.parametrize("said", [b"", as_bytes(SynthesizeStart()), b'{"type": "describe'])
def test_a_client_that_says_nothing_is_parted_from(
    served: Served, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    with plainly_connected(served) as client:
        client.sendall(said)
        assert b"nothing came" in rest_of(client)


def test_there_are_only_so_many_clients(voice_bundle: Path) -> None:
    """Beside those who speak and wait, 64 may be there to ask."""
    with ExitStack() as stack:
        opened = stack.enter_context(Tcp("127.0.0.1", 0).opened())
        server = stack.enter_context(
            serving(Settings(voice_bundle, slots=1, queue=0), wyoming_on=[opened])
        )
        clients = [stack.enter_context(plainly_connected(server)) for _ in range(66)]
        assert b"65 clients are connected" in rest_of(clients[65])
        clients[64].sendall(as_bytes(Describe()))
        assert clients[64].recv(10)


def test_a_bundle_of_several_languages_has_a_voice_by_name_for_each(
    tiny_bundle: Callable[..., Path],
) -> None:
    """Home Assistant sends the name of a voice, never a language with it."""
    service = Service.open(Settings(tiny_bundle("custom_voice"), slots=1))
    told = Info.from_event(info(service).event())
    names = {voice.name: voice.languages for voice in told.tts[0].voices}
    assert names["ryan (de)"] == ["de"]
    assert names["uncle_fu (pt)"] == ["pt"]
    assert len(names) == 9 * 10
    assert find(service.voices, VoiceAsked("Ryan (de)")) == (Voice.speaker("ryan"), "de")
    assert find(service.voices, VoiceAsked("ryan")) == (Voice.speaker("ryan"), None)
    assert find(service.voices, VoiceAsked(language="ko")) == (None, "ko")


def test_a_language_is_spoken(served: Served, sessions: list[Session]) -> None:
    async def ask() -> list[Event]:
        async with connected(served.wyoming[0]) as client:
            await say(client, Synthesize(TEXT, SynthesizeVoice(language="en")))
            return await heard(client, AudioStop)

    said = sound_of(asyncio.run(ask()))
    assert said == spoken(TEXT, sessions[0].seed, language="english")
    assert said != spoken(TEXT, sessions[0].seed)
