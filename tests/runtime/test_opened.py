"""What is open in one process, and what may go to another."""

import copy
import pickle
from collections.abc import Callable

import pytest

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.compat import Qwen3TTSModel, Qwen3TTSTokenizer
from qwen3_tts_edge.errors import OpenedError

OPENED: dict[str, Callable[[Synthesizer], object]] = {
    "Synthesizer": lambda tts: tts,
    "Stream": lambda tts: tts.stream("Hello."),
    "Pieces": lambda tts: tts.pieces("Hello."),
    "Listener": lambda tts: tts.listener,
    "CodecDecoder": lambda tts: tts.decoder,
    "DecoderStream": lambda tts: tts.decoder.begin(),
    "Qwen3TTSModel": Qwen3TTSModel,
    "Qwen3TTSTokenizer": lambda tts: Qwen3TTSTokenizer(tts.manifest, tts.decoder, None),
}


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("name", OPENED)
def test_what_is_open_says_what_to_do_when_it_is_copied(
    tts: Synthesizer, name: str, copied: Callable[[object], object]
) -> None:
    one = OPENED[name](tts)
    for each in (one, {"in a dict": [one]}):
        with pytest.raises(TypeError, match=f"a {name} is open in this process, .*; open the bun"):
            copied(each if copied is not copy.copy else one)


def test_a_method_of_it_is_no_argument_of_another_process(tts: Synthesizer) -> None:
    with pytest.raises(OpenedError, match="a Synthesizer is open in this process"):
        pickle.dumps(tts.speak)


def test_a_bundle_goes_along_without_what_is_open(tts: Synthesizer) -> None:
    tts.bundle.tokenizer.encode("Hello.")
    tts.bundle.tables.text(1)
    sent = pickle.dumps(tts.bundle)
    assert len(sent) < 20_000
    there = pickle.loads(sent)
    assert there == Bundle.open(tts.bundle.folder)
    said = Synthesizer.open(there, verify=False).speak("Hello.", seed=1)
    assert said.samples.tobytes() == tts.speak("Hello.", seed=1).samples.tobytes()
