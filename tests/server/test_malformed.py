"""Requests that no client sends: whatever comes, nothing breaks, hangs or is left behind."""

import os
import random
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from server import malformed
from server.reference import spoken
from server.serving import Served

_ANSWERED = {200, 400, 403, 404, 405, 408, 413, 503}
"""What there is an answer for. 503 only where more come than may wait, as 16 at once do not."""


def sent(served: Served, seed: int) -> int | None:
    """Send one, end what is sent or leave, and give the status that came back, if any."""
    chance = random.Random(seed)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            data, whole = malformed.request(chance)
            connection.sendall(data)
            if chance.random() < 0.1:
                return None
            if not whole:  # it may wait for more for as long as it is open
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionError:  # it was cut, which is an answer to what is no HTTP
            return None
    status, _, rest = answer.partition(b"\r\n")
    if not answer:
        return None
    assert status.startswith(b"HTTP/1.1 "), (seed, status)
    assert b"traceback" not in rest.lower(), seed
    return int(status.split()[1])


@pytest.mark.parametrize("name", ["served", "cloning"])
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_whatever_comes(request: pytest.FixtureRequest, name: str, count: int) -> None:
    served: Served = request.getfixturevalue(name)

    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: sent(served, n), range(32)))  # what is opened once
        served.settle()
        before = open_files(), threading.active_count()
        statuses = Counter(threads.map(lambda n: sent(served, n), range(count)))
        served.settle()
    assert set(statuses) <= _ANSWERED | {None}, statuses
    assert statuses[200] > 0
    assert statuses[400] > count / 4
    health = httpx2.get(f"{served.url}/health")
    assert health.json() == {"status": "healthy"}
    after = open_files(), threading.active_count() + 16
    assert after[0] <= before[0] + 4, (before, after)
    if name == "served":
        body = {"input": "Yes.", "voice": "heart", "seed": 7, "response_format": "pcm"}
        answer = httpx2.post(f"{served.url}/v1/audio/speech", json=body)
        assert answer.content == spoken("Yes.", 7)
