"""The small voice as a checkpoint that clones: whose voice comes of a recording.

The recordings are its own codec's, of frames that were given another vocal tract than that of the
speaker who said them: nobody whom it learnt from has this tract and this pitch.
"""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from conftest import MadeOnce  # noqa: E402
from qwen3_tts_edge import Synthesizer, Voice  # noqa: E402
from qwen3_tts_voice.codes import with_tract  # noqa: E402
from tiny import EDGE_VOICE_BASE  # noqa: E402

SAID = "The old clock in the hall struck nine, and nobody was awake to hear it."
TEXT = "Please water the plants on the balcony."
TRACTS = (4, 8, 16, 20)


@pytest.fixture(scope="module")
def base(made_once: MadeOnce, one_thread: None, traced_once: None) -> Synthesizer:
    from qwen3_tts_export.bundle.writing import write_bundle
    from qwen3_tts_export.checkpoint.opening import Checkpoint

    def write(folder: Path) -> None:
        write_bundle(Checkpoint.open(EDGE_VOICE_BASE), folder, precision="int8")

    return Synthesizer.open(made_once("edge-voice-base-int8", write), threads=1)


@pytest.mark.parametrize("text", [None, SAID], ids=["by vector", "in context"])
def test_a_clone_has_the_vocal_tract_of_the_recording(
    base: Synthesizer, voice_bundle: Path, text: str | None
) -> None:
    tts = Synthesizer.open(voice_bundle, threads=1)
    codes = torch.from_numpy(tts.speak(SAID, Voice.speaker("heart"), seed=1).codes.astype(np.int64))
    said = []
    for tract in TRACTS:
        recording = base.decoder.decode(with_tract(codes, torch.tensor(tract)).numpy())
        clone = base.clone((recording, 24_000), text)
        spoken = base.speak(TEXT, clone, seed=1).codes
        said.append(np.median(spoken[:, 1] // 50 * 5 + spoken[:, 2] // 51))
    assert np.abs(np.subtract(said, TRACTS)).max() <= 3, said
