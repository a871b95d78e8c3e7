"""A process forks or ends while other threads of it speak: neither waits for ever, or breaks."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qwen3_tts_edge.forks import shared

can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

_SPEAKING = """
import os, signal, sys, threading
from qwen3_tts_edge import Qwen3TTSError, Synthesizer

tts = Synthesizer.open(sys.argv[1], verify=False)
said = tts.speak("Hello there.", seed=1).samples.tobytes()
begun, over = threading.Event(), threading.Event()

def speak_on():
    while not over.is_set():
        for _ in tts.stream("This goes on and on."):
            begun.set()

def in_child(mine):
    signal.alarm(60)
    try:
        next(mine)
        return 1
    except Qwen3TTSError as error:
        if "was forked" not in str(error):
            return 2
    return 3 * (tts.speak("Hello there.", seed=1).samples.tobytes() != said)

other = threading.Thread(target=speak_on)
other.start()
begun.wait()
codes = []
for _ in range(6):
    mine = tts.stream("Hello there.", seed=1)
    next(mine)
    if not (child := os.fork()):
        os._exit(in_child(mine))
    next(mine)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
over.set()
other.join()
sys.exit(max(map(abs, codes)))
"""


@can_fork
def test_a_process_that_was_forked_amid_speech_speaks_too(voice_bundle: Path) -> None:
    """What its parent was saying it does not go on with, and says so."""
    asked = [sys.executable, "-c", _SPEAKING, str(voice_bundle)]
    assert subprocess.run(asked, check=False, timeout=300).returncode == 0


@can_fork
def test_a_fork_waits_for_who_holds_a_lock() -> None:
    lock = shared(threading.Lock())
    held = threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            time.sleep(0.1)

    threading.Thread(target=hold).start()
    held.wait()
    child = os.fork()
    if not child:
        os._exit(not lock.acquire(timeout=1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lock.acquire(timeout=1)


_ENDING = """
import sys, threading
from qwen3_tts_edge import Synthesizer

tts = Synthesizer.open(sys.argv[1], verify=False)
begun = threading.Event()

def speak_on():
    while True:
        for _ in tts.stream("This goes on and on.", seed=1):
            begun.set()

threading.Thread(target=speak_on, daemon=True).start()
begun.wait()
sys.exit(7)
"""


def test_a_process_that_ends_amid_speech_is_not_aborted(voice_bundle: Path) -> None:
    """Four at once, for now and then one got through."""
    asked = [sys.executable, "-c", _ENDING, str(voice_bundle)]
    ending = [subprocess.Popen(asked) for _ in range(4)]
    assert [each.wait(timeout=120) for each in ending] == [7] * 4


_SPEAKING_ON = """
import sys, threading
from qwen3_tts_edge import Synthesizer

def speak():
    main.join()  # what a thread does while the main one ends differs from run to run
    tts = Synthesizer.open(sys.argv[1], verify=False)
    for _ in tts.stream("Hello there.", seed=1):
        pass
    tts.speak("Hello there.", seed=1).save(sys.argv[2])

main = threading.main_thread()
threading.Thread(target=speak).start()
"""


def test_a_thread_opens_and_speaks_when_the_main_thread_has_ended(
    voice_bundle: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said.wav"
    asked = [sys.executable, "-c", _SPEAKING_ON, str(voice_bundle), str(said)]
    ended = subprocess.run(asked, check=False, timeout=120, capture_output=True, text=True)
    assert ended.stderr == ""
    assert said.stat().st_size > 10_000


_SPEAKING_BESIDE = """
import sys, threading
from qwen3_tts_edge import Synthesizer

def speak_on():
    while True:
        for _ in tts.stream("This goes on and on.", seed=1):
            begun.set()

tts = Synthesizer.open(sys.argv[1], verify=False)
begun = threading.Event()
threading.Thread(target=speak_on, daemon=True).start()
begun.wait()
"""


def test_a_daemon_thread_that_speaks_when_its_process_ends_prints_nothing(
    voice_bundle: Path,
) -> None:
    """Its codec's threads were gone before it: one process in three said so on stderr."""
    asked = [sys.executable, "-c", _SPEAKING_BESIDE, str(voice_bundle)]
    ending = [subprocess.Popen(asked, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [each.communicate(timeout=120)[1] for each in ending] == [""] * 4


_OPENING = """
import sys, threading
from qwen3_tts_edge import Synthesizer

def open_on():
    while True:
        Synthesizer.open(sys.argv[1], verify=False)
        opened.release()

opened = threading.Semaphore(0)
threading.Thread(target=open_on, daemon=True).start()
opened.acquire()
threading.Event().wait(float(sys.argv[2]))
sys.exit(7)
"""


def test_a_process_that_ends_while_a_bundle_is_opened_is_not_aborted(voice_bundle: Path) -> None:
    """At five times after it began: one in twelve was inside ONNX Runtime and got through."""
    asked = [sys.executable, "-c", _OPENING, str(voice_bundle)]
    ending = [subprocess.Popen([*asked, str(0.04 * number)]) for number in range(5)]
    assert [each.wait(timeout=120) for each in ending] == [7] * 5
