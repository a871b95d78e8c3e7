"""A headless Chromium, driven over its own protocol: a page as a person would use it."""

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import websockets

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One open page.

    Attributes:
        asked: Addresses that it asked for.
    """

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self._number = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        number = next(self._number)
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(coming, 30)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def run(self, script: str) -> Any:
        """Run a script as if a person had clicked; give its value."""
        found = await self.call(
            "Runtime.evaluate",
            expression=script,
            userGesture=True,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 30) -> Any:
        """Wait until a script gives something that is true; give it."""
        for _ in range(round(seconds / 0.05)):
            if value := await self.run(script):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}; {await self.run('JSON.stringify(measured)')}")

    async def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=modifiers
            )

    async def picture(self, path: Path) -> None:
        """Save what it looks like."""
        found = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message)
            if said.get("method") == "Network.requestWillBeSent":
                self.asked.append(said["params"]["request"]["url"])
            if (answer := self._answers.pop(said.get("id", 0), None)) is not None:
                answer.set_result(said)


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """Run it; give the address of its protocol."""
    assert PROGRAM is not None
    command = [
        PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        f"--user-data-dir={profile}", "--disable-background-networking", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "DevTools listening on" in line)
        yield line.rpartition(" ")[2].strip()
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def opened(
    browser: str, url: str, width: int = 1000, height: int = 900
) -> AsyncIterator[Page]:
    """Open a page in a window of a size."""
    async with websockets.connect(browser) as socket:
        await socket.send(
            json.dumps({"id": 0, "method": "Target.createTarget", "params": {"url": "about:blank"}})
        )
        target = json.loads(await socket.recv())["result"]["targetId"]
    where = f"{browser.partition('/devtools/')[0]}/devtools/page/{target}"
    async with websockets.connect(where, max_size=1 << 26) as socket:
        page = Page(socket)
        await page.call("Page.enable")
        await page.call("Network.enable")
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        await page.call("Page.navigate", url=url)
        await page.until("document.readyState === 'complete' && model.id")
        yield page
