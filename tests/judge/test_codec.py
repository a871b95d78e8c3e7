"""The bundled voice's codec, both ways: what it encodes is still understood when decoded again."""

from pathlib import Path

from qwen3_tts_edge import Synthesizer
from qwen3_tts_edge.compat import Qwen3TTSTokenizer
from qwen3_tts_export.bundle.writing import write_codec_bundle
from qwen3_tts_export.checkpoint.opening import CodecCheckpoint
from qwen3_tts_export.parity.judge import Errors, Judge, errors
from tiny import EDGE_VOICE

SAID = (
    "Set a timer for twenty minutes.",
    "It is half past seven in the morning.",
    "The front door is open.",
    "Turn off the light in the kitchen.",
    "The temperature outside is fifteen degrees.",
    "Your battery is at forty two percent.",
    "Good morning, Helen.",
    "Today is Wednesday, the third of June.",
)
"""Of the kind that the voice says best, so that it is the codec that is judged."""


def test_speech_that_was_encoded_and_decoded_is_understood(
    voice_bundle: Path, tmp_path: Path, listener: Judge
) -> None:
    checkpoint = CodecCheckpoint.open(EDGE_VOICE / "speech_tokenizer")
    codec = Qwen3TTSTokenizer.from_pretrained(write_codec_bundle(checkpoint, tmp_path / "codec"))
    tts, transcripts, wrong = Synthesizer.open(voice_bundle, threads=1), [], Errors()
    for seed, sentence in enumerate(SAID):
        spoken = tts.speak(sentence, seed=seed)
        codes = codec.encode(spoken.samples, sr=spoken.sample_rate).audio_codes
        (again,), rate = codec.decode({"audio_codes": codes[0]})
        transcripts.append(listener.transcribe(again, rate))
        wrong += errors(sentence, transcripts[-1])
    print(f"{wrong.wrong} of {wrong.words} words wrong")  # noqa: T201
    assert wrong.rate <= 0.25, transcripts
