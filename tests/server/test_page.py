"""The page, in a real browser: what is heard, shown and asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from server.chromium import PROGRAM, Page, chromium, opened
from server.reference import spoken
from server.serving import Served

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on PATH")

TEXT = "The kettle is on. Would you like a cup of tea?"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chromium(tmp_path_factory.mktemp("chromium")) as address:
        yield address


def used(browser: str, url: str, use: Callable[[Page], Awaitable[None]], **size: int) -> None:
    async def visit() -> None:
        async with opened(browser, url, **size) as page:
            await use(page)

    asyncio.run(visit())


def test_it_speaks_while_it_comes(browser: str, served: Served) -> None:
    """All samples are played, and sound begins before the answer ends; nobody else is asked."""

    async def use(page: Page) -> None:
        await page.run(f"$('text').value = {TEXT!r}; $('seed').value = '7'")
        await page.run("$('speak').click()")
        await page.until("measured.first")
        assert not await page.run("measured.done")
        await page.until("measured.done")
        measured = await page.run("measured")
        count = len(spoken(TEXT, seed=7)) // 2
        assert (measured["way"], measured["error"]) == ("worklet", None)
        assert measured["sent"] == measured["played"] == count
        assert await page.run("$('underruns').textContent") == str(measured["underruns"])
        assert await page.run("$('spoken-seed').textContent") == "7"
        assert "first" not in await page.run("$('first').textContent")
        curl = await page.run("$('curl').textContent")
        assert curl.startswith(f'curl "{served.url}/v1/audio/speech" -o')
        assert '"seed":7' in curl
        assert all(url.startswith((served.url, "blob:", "data:")) for url in page.asked)

    used(browser, served.url, use)


def test_without_a_secure_context_it_plays_mp3(browser: str, served: Served) -> None:
    async def use(page: Page) -> None:
        await page.run("window.AudioWorkletNode = undefined")
        await page.run(f"$('text').value = {TEXT!r}; $('speak').click()")
        await page.until("measured.first")
        await page.until("measured.done")
        assert await page.run("measured.way") == "mediasource"
        assert await page.run("measured.error") is None
        assert await page.run("$('save').download") == "speech.mp3"

    used(browser, served.url, use)


def test_the_stop_button_frees_the_slot(browser: str, served: Served) -> None:
    async def use(page: Page) -> None:
        long = " ".join([TEXT] * 40)
        await page.run(f"$('text').value = {long!r}; $('speak').click()")
        await page.until("measured.first")
        await page.press("Escape")
        await page.until("measured.done")
        await asyncio.to_thread(served.settle)
        assert await page.run("$('status').textContent") == "Stopped."

    used(browser, served.url, use)


def test_an_error_is_shown(browser: str, served: Served) -> None:
    async def use(page: Page) -> None:
        await page.run("$('text').value = '<|im_start|>'; $('speak').click()")
        await page.until("measured.done")
        assert await page.run("$('status').className") == "bad"
        assert "control token" in await page.run("$('status').textContent")

    used(browser, served.url, use)


def test_the_keyboard_and_a_narrow_window_are_enough(browser: str, served: Served) -> None:
    async def use(page: Page) -> None:
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        await page.run("$('text').focus()")
        for control_or_command in (2, 4):
            await page.run("measured.done = false")
            await page.press("Enter", modifiers=control_or_command)
            await page.until("measured.done")
            assert await page.run("measured.played") > 0

    used(browser, served.url, use, width=360, height=740)


@pytest.mark.slow
def test_its_picture(browser: str, served: Served, tmp_path: Path) -> None:
    """`pytest -m slow -k picture --basetemp build/page` leaves the picture of the README there."""

    async def use(page: Page) -> None:
        await page.run(f"$('text').value = {TEXT!r}; $('seed').value = '7'; $('speak').click()")
        await page.until("measured.done")
        await page.picture(tmp_path / "page.png")

    used(browser, served.url, use, width=880, height=860)
    assert (tmp_path / "page.png").stat().st_size > 10_000
