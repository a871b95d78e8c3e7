"""Both encoders against the official ones: codes equal, vectors close; as modules and as graphs."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from oracle.answers import AskedOnce
from parity.forced import filled
from parity.tolerances import LADDER, assert_close, note
from qwen3_tts_edge.backends import open_backend
from qwen3_tts_edge.bundle.manifest import (
    CODEC_DECODER,
    CODEC_ENCODER,
    CODEC_ROWS,
    FRAME,
    PREDICTOR_ROWS,
    SPEAKER_ENCODER,
    Manifest,
)
from qwen3_tts_edge.voices.mel import log_mel
from qwen3_tts_export.bundle import graph_files
from qwen3_tts_export.checkpoint.opening import Checkpoint
from qwen3_tts_export.checkpoint.random import write_random
from qwen3_tts_export.graphs.declared import codec_encoder_graph, speaker_encoder_graph
from qwen3_tts_export.graphs.weight_file import write_graph
from qwen3_tts_export.modules.codec_encoder import CodecEncoder
from qwen3_tts_export.modules.speaker_encoder import SpeakerEncoder
from qwen3_tts_export.precision.policy import find_precision
from tiny import EDGE_VOICE, tiny_config

Judge = Callable[[Path], AskedOnce]
Encode = Callable[[np.ndarray], np.ndarray]


class Heard(NamedTuple):
    """What an official encoder said, and for each codebook what it looked up, and where."""

    codes: np.ndarray
    vectors: list[torch.Tensor]
    tables: list[torch.Tensor]


FRAME_SAMPLES = 1920
# The last is over 250 positions long, where a sliding window would show.
LENGTHS = (1, 2, 959, 960, 961, 1919, 1920, 1921, 2881, 24000, 50001, 72000, 240000, 312345)
# Two residual units a block, as wide as the codebooks, two semantic codebooks, other strides.
ODD = {
    "num_residual_layers": 2,
    "upsampling_ratios": [10, 8, 4, 3],
    "vector_quantization_hidden_dimension": 64,
    "codebook_dim": 64,
    "num_semantic_quantizers": 2,
    "residual_kernel_size": 5,
    "compress": 4,
}
CODECS = ("tiny", "odd", "edge-voice")


def noise(length: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng([seed, length]).standard_normal(length) * 0.1).astype(np.float32)


def spoken(length: int) -> np.ndarray:
    """Something between speech and music: a gliding tone, its harmonics, syllables, breath."""
    time = np.arange(length) / 24000
    pitch = 2 * np.pi * (120 * time + 15 * np.sin(2 * np.pi * 0.7 * time))
    voice = sum(np.sin(k * pitch) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time) + 0.3, 0, 1)
    return (0.15 * voice * syllables + 0.05 * noise(length)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(
    tiny_checkpoint: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> Callable[[str], Path]:
    @functools.cache
    def find(name: str) -> Path:
        if name == "edge-voice":
            return EDGE_VOICE
        if name == "tiny":
            return tiny_checkpoint("base", "narrow")
        config, codec = tiny_config("base", "narrow")
        codec["encoder_config"] |= ODD
        odd = tmp_path_factory.mktemp("checkpoint") / "odd"
        return write_random(odd, config, codec, seed=5, tokenizer_from=EDGE_VOICE)

    return find


@pytest.fixture(scope="module")
def official(judge: Judge, folder: Callable) -> Callable[[str], Callable[[np.ndarray], Heard]]:
    """Return the official encoder of a codec, listened to at its codebooks."""

    def find(name: str) -> Callable[[np.ndarray], Heard]:
        codec = judge(folder(name)).live.model.speech_tokenizer.model
        from transformers.models.mimi.modeling_mimi import MimiEuclideanCodebook

        @torch.inference_mode()
        def encode(samples: np.ndarray) -> Heard:
            looked_up: list[tuple[torch.Tensor, torch.Tensor]] = []
            whole = MimiEuclideanCodebook.quantize

            def quantize(book: MimiEuclideanCodebook, vectors: torch.Tensor) -> torch.Tensor:
                looked_up.append((vectors, book.embed))
                return whole(book, vectors)

            mask = torch.ones(1, len(samples), dtype=torch.long)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(MimiEuclideanCodebook, "quantize", quantize)
                codes = codec.encode(torch.from_numpy(samples)[None], mask).audio_codes[0]
            return Heard(codes.numpy(), *map(list, zip(*looked_up, strict=True)))

        return encode

    return find


@pytest.fixture(scope="module")
def module(folder: Callable) -> Callable[[str], CodecEncoder]:
    @functools.cache
    def load(name: str) -> CodecEncoder:
        checkpoint = Checkpoint.open(folder(name))
        config = checkpoint.config.codec_encoder
        return filled(CodecEncoder(config), codec_encoder_graph(config, checkpoint.codec).weights)

    return load


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def graphs(
    folder: Callable, tmp_path_factory: pytest.TempPathFactory, traced_once: None
) -> Callable[[str], dict[str, Path]]:
    """Return a function that exports the encoders of a checkpoint, asked for in int8."""

    @functools.cache
    def write(name: str) -> dict[str, Path]:
        checkpoint, into = Checkpoint.open(folder(name)), tmp_path_factory.mktemp(name)
        int8 = find_precision("int8", "ort")
        config = checkpoint.config
        found = [codec_encoder_graph(config.codec_encoder, checkpoint.codec)]
        if config.speaker_encoder is not None:
            found.append(speaker_encoder_graph(config.speaker_encoder, checkpoint.talker))
        for graph in found:
            path = into / f"{graph.name}.onnx"
            write_graph(graph_files.trace(graph, "ort"), graph.weights, int8, path, lambda _: None)
        return {graph.name: into / f"{graph.name}.onnx" for graph in found}

    return write


@pytest.fixture(scope="module")
def graph(graphs: Callable) -> Callable[[str], Encode]:
    @functools.cache
    def load(name: str) -> Encode:
        opened = session(graphs(name)[CODEC_ENCODER])
        return lambda samples: opened.run(None, {"samples": samples[None]})[0][0]

    return load


def assert_equal(found: np.ndarray, expected: np.ndarray, at: str) -> None:
    assert found.dtype == np.int64
    assert found.shape == expected.shape, f"{at}: {found.shape}, not {expected.shape}"
    wrong = np.argwhere(found != expected)
    assert not len(wrong), f"{at}: {len(wrong)} of {expected.size} differ, first at {wrong[0]}"
    note("encoders.codes compared", expected.size)


def assert_heard(found: np.ndarray, expected: Heard, at: str) -> None:
    """Equal codes, but for a tie: then the rest of that frame is left out."""
    assert found.shape == expected.codes.shape, f"{at}: {found.shape}"
    compared = expected.codes.copy()
    for frame in np.unique(np.argwhere(found != expected.codes)[:, 0]):
        book = int((found[frame] != expected.codes[frame]).argmax())
        vector, table = expected.vectors[book][frame].double(), expected.tables[book].double()
        codes = [int(expected.codes[frame, book]), int(found[frame, book])]
        theirs, ours = (vector - table[codes]).square().sum(dim=1).tolist()
        gap = (ours - theirs) / max(1.0, theirs)
        assert gap <= LADDER["encoders.tie"].largest, f"{at}: frame {frame}, book {book}: {gap:.2g}"
        note("encoders.tie", gap)
        compared[frame, book:] = found[frame, book:]
    assert_equal(found, compared, at)


# codes


@pytest.mark.parametrize("name", CODECS)
def test_our_module_hears_the_official_codes(
    official: Callable, module: Callable, name: str
) -> None:
    encoder = module(name)
    for length in LENGTHS:
        samples = noise(length)
        with torch.inference_mode():
            found = encoder(torch.from_numpy(samples)[None])[0].numpy()
        assert len(found) == -(-length // FRAME_SAMPLES)
        assert_heard(found, official(name)(samples), f"{name}, {length} samples")


@pytest.mark.parametrize("name", CODECS)
def test_the_graph_hears_the_official_codes(official: Callable, graph: Callable, name: str) -> None:
    for length in LENGTHS:
        samples = noise(length, seed=1)
        found, expected = graph(name)(samples), official(name)(samples)
        assert_heard(found, expected, f"{name}, {length} samples")
    if name != "edge-voice":
        # A reference of few values would agree with anything.
        assert min(len(np.unique(column)) for column in expected.codes.T) > 40


@pytest.mark.parametrize("name", CODECS)
def test_silence_clipping_and_voice_are_heard_alike(
    official: Callable, graph: Callable, name: str
) -> None:
    cases = {
        "silence": np.zeros(30001, np.float32),
        "clipping": np.sign(noise(30001)),
        "voice": spoken(120_007),
        "voice, then silence": np.concatenate((spoken(24_000), np.zeros(9_000, np.float32))),
    }
    for what, samples in cases.items():
        assert_heard(graph(name)(samples), official(name)(samples), f"{name}, {what}")


@settings(max_examples=40)
@given(length=st.integers(1, 60_000), seed=st.integers(0, 2**32 - 1))
@example(length=959, seed=0)
@example(length=3840, seed=0)
@example(length=3841, seed=0)
def test_any_number_of_samples_is_heard_alike(
    official: Callable, graph: Callable, length: int, seed: int
) -> None:
    samples = noise(length, seed)
    found = graph("tiny")(samples)
    assert len(found) == -(-length // FRAME_SAMPLES)
    assert_heard(found, official("tiny")(samples), f"{length} samples, seed {seed}")


def test_the_official_tokenizer_says_the_same_from_outside(
    judge: Judge, folder: Callable, graph: Callable
) -> None:
    """With its feature extractor before the encoder."""
    samples = spoken(47_123)
    tokenizer = judge(folder("tiny")).live.model.speech_tokenizer
    expected = tokenizer.encode(samples, sr=24000).audio_codes[0].numpy()
    assert_equal(graph("tiny")(samples), expected, "from outside")


def test_rows_of_a_batch_do_not_hear_each_other(graphs: Callable, graph: Callable) -> None:
    rows = np.stack([noise(8_000, seed) for seed in range(3)])
    found = session(graphs("tiny")[CODEC_ENCODER]).run(None, {"samples": rows})[0]
    for row, codes in zip(rows, found, strict=True):
        assert_equal(codes, graph("tiny")(row), "batch")


# vectors


@pytest.fixture(scope="module")
def speaker(folder: Callable) -> SpeakerEncoder:
    checkpoint = Checkpoint.open(folder("tiny"))
    config = checkpoint.config.speaker_encoder
    weights = speaker_encoder_graph(config, checkpoint.talker).weights
    return filled(SpeakerEncoder(config), weights)


def official_mel(samples: np.ndarray) -> np.ndarray:
    """Call the function as `extract_speaker_embedding` does; (frames, bands)."""
    from qwen_tts.core.models.modeling_qwen3_tts import mel_spectrogram

    mel = mel_spectrogram(torch.from_numpy(samples)[None], 1024, 128, 24000, 256, 1024, 0, 12000)
    return mel[0].T.numpy()


@pytest.mark.parametrize("length", [385, 1280, 1919, 24000, 50001, 240_000, 1_440_000])
def test_the_mel_is_the_official_one(judge: Judge, folder: Callable, length: int) -> None:
    assert judge(folder("tiny")).live, "which imports the package"
    for samples in (noise(length), np.zeros(length, np.float32)):
        found, expected = log_mel(samples), official_mel(samples)
        assert found.shape == (length // 256, 128)
        assert_close("encoders.mel", found, expected, f"{length} samples")


def tone(length: int) -> np.ndarray:
    return (0.9 * np.sin(2 * np.pi * 220 * np.arange(length) / 24000)).astype(np.float32)


@pytest.mark.parametrize("sound", [tone, spoken])
def test_between_harmonics_the_mel_is_as_right_as_the_official_one(
    judge: Judge, folder: Callable, sound: Callable
) -> None:
    """There is less sound than a Fourier transform in float32 rounds off: float64 is the judge."""
    assert judge(folder("tiny")).live, "which imports the package"
    samples = sound(48000)
    around = np.pad(samples.astype(np.float64), 384, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, 1024)[::256]
    spectrum = np.fft.rfft(windows * torch.hann_window(1024).double().numpy())
    from librosa.filters import mel as basis

    bands = basis(sr=24000, n_fft=1024, n_mels=128, fmin=0, fmax=12000).astype(np.float64)
    exact = np.log(np.maximum(np.sqrt(np.abs(spectrum) ** 2 + 1e-9) @ bands.T, 1e-5))
    ours, theirs = (np.abs(x - exact) for x in (log_mel(samples), official_mel(samples)))
    assert ours.mean() <= theirs.mean()
    assert ours.max() <= theirs.max()
    note(f"encoders.mel {sound.__name__}, official", float(theirs.max()))
    note(f"encoders.mel {sound.__name__}, ours", float(ours.max()))


@pytest.mark.parametrize("frames", [5, 6, 47, 187, 937])
def test_the_vector_is_the_official_one(
    judge: Judge, folder: Callable, speaker: SpeakerEncoder, graphs: Callable, frames: int
) -> None:
    mel = np.random.default_rng(frames).normal(-4, 2, (1, frames, 128)).astype(np.float32)
    with torch.inference_mode():
        expected = judge(folder("tiny")).live.model.speaker_encoder(torch.from_numpy(mel)).numpy()
        found = speaker(torch.from_numpy(mel)).numpy()
    assert np.ptp(expected) > 1
    assert_close("encoders.vector", found, expected, f"module, {frames} mel frames")
    (found,) = session(graphs("tiny")[SPEAKER_ENCODER]).run(None, {"mel": mel})
    assert_close("encoders.vector", found, expected, f"graph, {frames} mel frames")


@pytest.mark.parametrize("length", [1280, 24000, 100_003, 240_000])
def test_from_samples_to_vector_as_the_official_package(
    judge: Judge, folder: Callable, graphs: Callable, length: int
) -> None:
    opened = session(graphs("tiny")[SPEAKER_ENCODER])
    for what, samples in (("noise", noise(length)), ("voice", spoken(length))):
        model = judge(folder("tiny")).live.model
        expected = model.extract_speaker_embedding(samples, 24000).detach().numpy()
        (found,) = opened.run(None, {"mel": log_mel(samples)[None]})
        assert_close("encoders.vector", found[0], expected, f"{what}, {length} samples")


def test_the_fewest_mel_frames_are_the_official_ones(
    judge: Judge, folder: Callable, speaker: SpeakerEncoder
) -> None:
    least = 5
    for encoder in (judge(folder("tiny")).live.model.speaker_encoder, speaker):
        with torch.inference_mode():
            assert encoder(torch.zeros(1, least, 128)).shape == (1, 128)
            with pytest.raises(RuntimeError, match="Padding size should be less"):
                encoder(torch.zeros(1, least - 1, 128))


# files


@pytest.mark.parametrize("name", CODECS)
def test_the_encoders_are_plain_onnx_and_lose_nothing_whatever_the_precision(
    graphs: Callable, folder: Callable, name: str
) -> None:
    checkpoint = Checkpoint.open(folder(name))
    config = checkpoint.config
    makers = {CODEC_ENCODER: codec_encoder_graph(config.codec_encoder, checkpoint.codec).weights}
    if config.speaker_encoder is not None:
        graph = speaker_encoder_graph(config.speaker_encoder, checkpoint.talker)
        makers[SPEAKER_ENCODER] = graph.weights
    for graph, weights in makers.items():
        path = graphs(name)[graph]
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path))
        assert {node.domain for node in model.graph.node} == {""}
        found = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
        for weight, make in weights.items():
            stored = found[weight] if weight in found else found[f"{weight}.bf16"]
            assert np.array_equal(stored.astype(np.float32), make().numpy()), weight


@pytest.mark.parametrize("name", ["tiny", "odd"])
def test_the_encoders_read_every_official_tensor_they_need(folder: Callable, name: str) -> None:
    checkpoint = Checkpoint.open(folder(name))
    config, read = checkpoint.config, set()

    class Noted(dict):
        def __getitem__(self, key: str) -> torch.Tensor:
            read.add(key)
            return (checkpoint.codec if key in checkpoint.codec else checkpoint.talker)[key]

    for graph in (
        codec_encoder_graph(config.codec_encoder, Noted()),
        speaker_encoder_graph(config.speaker_encoder, Noted()),
    ):
        for make in graph.weights.values():
            make()
    assert {key for key in checkpoint.talker if key.startswith("speaker_encoder.")} <= read
    unread = {key for key in checkpoint.codec if key.startswith("encoder.")} - read
    kept = config.codec_encoder.num_codebooks - config.codec_encoder.num_semantic_quantizers
    assert unread == {
        key
        for key in checkpoint.codec
        if key.endswith((".output_proj.weight", ".codebook.initialized"))
        or (
            key.startswith("encoder.quantizer.acoustic_residual_vector_quantizer.layers.")
            and int(key.split(".")[4]) >= kept
        )
    } - {key for key in checkpoint.codec if key.startswith("decoder.")}


def test_a_base_bundle_can_hear(
    tiny_bundle: Callable, tiny_checkpoint: Callable, official: Callable
) -> None:
    folder = tiny_bundle("base", "narrow")
    manifest = Manifest.load(folder)
    manifest.verify(folder)
    assert set(manifest.graphs) == {FRAME, CODEC_DECODER, CODEC_ENCODER, SPEAKER_ENCODER}
    assert manifest.checkpoint.model_type == "base"
    assert manifest.text_layout == "streamed"
    assert not manifest.takes_instruct
    assert not manifest.speakers

    backend, samples = open_backend(threads=1), spoken(9_601)
    opened = backend.open(folder, manifest.graphs[CODEC_ENCODER])
    for length in (9_601, 9_600, 1, 9_601):
        codes = opened.run({"samples": samples[None, :length]}, opened.state())["codes"][0]
        assert_heard(codes, official("tiny")(samples[:length]), f"{length} samples")
    opened = backend.open(folder, manifest.graphs[SPEAKER_ENCODER])
    vector = opened.run({"mel": log_mel(samples)[None]}, opened.state())["vector"]
    assert vector.shape == (1, manifest.hidden_size)

    talker = Checkpoint.open(tiny_checkpoint("base", "narrow")).talker
    tables = np.load(folder / PREDICTOR_ROWS)
    assert tables.dtype == np.load(folder / CODEC_ROWS).dtype == np.float32
    assert tables.shape == (15, manifest.codebook_size, manifest.hidden_size)
    for book, table in enumerate(tables):
        name = f"talker.code_predictor.model.codec_embedding.{book}.weight"
        assert np.array_equal(table, talker[name].float().numpy())
