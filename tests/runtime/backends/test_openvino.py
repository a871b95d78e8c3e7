"""OpenVINO's codec decoder, held against ONNX Runtime's, which is float32."""

import dataclasses
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from qwen3_tts_edge.arrays import Codes, Samples
from qwen3_tts_edge.backends import SMALL, automatic, open_backend
from qwen3_tts_edge.backends.openvino import graph as openvino_graph
from qwen3_tts_edge.backends.openvino import library
from qwen3_tts_edge.backends.openvino.graph import OpenVinoGraph
from qwen3_tts_edge.backends.openvino.halves import MIDDLE, halves
from qwen3_tts_edge.backends.openvino.part import ANY
from qwen3_tts_edge.backends.processors import processors
from qwen3_tts_edge.bundle import CodecBundle
from qwen3_tts_edge.bundle.manifest import CODEC_DECODER, FRAME, Manifest
from qwen3_tts_edge.codec.decoder import CodecDecoder
from qwen3_tts_edge.errors import BackendError, BundleError
from qwen3_tts_edge.synthesizer import Synthesizer

pytest.importorskip("openvino")


def decibels(reference: Samples, found: Samples) -> float:
    error = np.square(found - reference, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(reference, dtype=np.float64).sum() / (error + 1e-30)))


@pytest.fixture(scope="module")
def manifest(voice_bundle: Path) -> Manifest:
    return Manifest.load(voice_bundle)


@pytest.fixture(scope="module")
def codes(voice_bundle: Path) -> Codes:
    """Speech, for what is noise says nothing about sound."""
    tts = Synthesizer.open(voice_bundle, backend="ort-cpu", threads=1)
    spoken = [chunk.codes for chunk in tts.stream("The kettle is on, and so is the lamp.", seed=5)]
    codes: Codes = np.concatenate(spoken)
    assert len(codes) > 24
    return codes


SIZES = {"whole": SMALL, "in halves": 0}
"""What a graph has to read less than to be compiled whole."""


def opened(folder: Path, name: str, *, small: int = SMALL, threads: int = 1) -> CodecDecoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino_graph, "SMALL", small)
        return CodecDecoder.open(CodecBundle.open(folder), open_backend(name, threads=threads))


@pytest.fixture(scope="module", params=SIZES)
def decoders(request: pytest.FixtureRequest, voice_bundle: Path) -> dict[str, CodecDecoder]:
    """The bundled voice's, which is small, and again as the codecs of released checkpoints are."""
    small = SIZES[request.param]
    return {name: opened(voice_bundle, name, small=small) for name in ("ort-cpu", "openvino")}


@pytest.fixture(scope="module", params=SIZES)
def exact(request: pytest.FixtureRequest, voice_bundle: Path) -> CodecDecoder:
    """OpenVINO's where the CPU has no products of bfloat16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino_graph, "precision", lambda: "f32")
        return opened(voice_bundle, "openvino", small=SIZES[request.param])


@pytest.fixture(scope="module")
def reference(voice_bundle: Path, codes: Codes) -> Samples:
    return opened(voice_bundle, "ort-cpu").decode(codes)


def chunked(decoder: CodecDecoder, codes: Codes, size: int) -> Samples:
    stream = decoder.begin()
    pieces = [stream.push(codes[at : at + size]) for at in range(0, len(codes), size)]
    return np.concatenate(pieces)


def test_its_sound_is_that_of_float32_but_for_its_rounding(
    decoders: dict[str, CodecDecoder], reference: Samples, codes: Codes
) -> None:
    found = decoders["openvino"].decode(codes)
    assert found.shape == reference.shape
    assert found.dtype == np.float32
    assert decibels(reference, found) > 34


@pytest.mark.parametrize("size", [1, 3, 8])
def test_chunks_change_no_more_than_rounding_does(
    decoders: dict[str, CodecDecoder], codes: Codes, size: int
) -> None:
    decoder = decoders["openvino"]
    assert decibels(decoder.decode(codes), chunked(decoder, codes, size)) > 38


@pytest.mark.parametrize("sizes", [(24,), (1,) * 24, (8, 3, 1, 5, 7), (2, 4, 1, 8, 6, 3)])
def test_in_float32_it_is_exact_however_frames_come(
    exact: CodecDecoder, reference: Samples, codes: Codes, sizes: tuple[int, ...]
) -> None:
    """Whatever was compiled for so many, a state goes from one request into another."""
    stream, ends = exact.begin(), np.cumsum(sizes)
    pieces = [stream.push(codes[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    assert np.abs(np.concatenate(pieces) - reference[: 1920 * 24]).max() < 1e-5


def test_a_stream_begins_anew_whatever_was_launched_last(
    exact: CodecDecoder, reference: Samples, codes: Codes
) -> None:
    for sizes in [(1, 8), (8, 1), (3,)]:
        stream, start = exact.begin(), 0
        for size in sizes:
            found = stream.push(codes[start : start + size])
            expected = reference[1920 * start : 1920 * (start + size)]
            assert np.abs(found - expected).max() < 1e-5
            start += size


def test_small_graphs_are_launched_side_by_side(voice_bundle: Path, codes: Codes) -> None:
    decoder = opened(voice_bundle, "openvino", threads=min(2, processors()))
    texts = [codes, codes[::-1].copy(), codes[::2].copy()]
    alone = [chunked(decoder, each, 4) for each in texts]
    streams = [decoder.begin() for _ in texts]
    heard: list[list[Samples]] = [[] for _ in texts]
    for at in range(0, len(codes), 4):
        pending = [
            stream.start(each[at : at + 4]) if at < len(each) else None
            for stream, each in zip(streams, texts, strict=True)
        ]
        for each, into in zip(pending, heard, strict=True):
            into += [each.result()[0]] if each is not None else []
    assert all(np.array_equal(np.concatenate(a), b) for a, b in zip(heard, alone, strict=True))


def layers(compiled: Any) -> Counter[str]:
    nodes = compiled.get_runtime_model().get_ops()
    return Counter(node.get_rt_info()["layerType"].astype(str) for node in nodes)


def test_where_samples_are_made_their_steps_are_one_loop(
    monkeypatch: pytest.MonkeyPatch, voice_bundle: Path, manifest: Manifest
) -> None:
    """Of 29 sines, 18 behind; a number of frames that is not known makes each a dozen walks."""
    spec = manifest.graphs[CODEC_DECODER]
    (whole,) = OpenVinoGraph(voice_bundle, spec, 1)._parts
    assert all(layers(each)["Eltwise"] < 10 for each in whole.compiled.values())
    assert all(layers(each)["Subgraph"] >= 29 for each in whole.compiled.values())
    monkeypatch.setattr(openvino_graph, "SMALL", 0)
    front, back = OpenVinoGraph(voice_bundle, spec, 1)._parts
    assert all(layers(each)["Eltwise"] < 10 for each in back.compiled.values())
    assert layers(front.compiled[-1])["Eltwise"] > 100


def test_what_is_compiled_more_than_once_has_few_weights(
    voice_bundle: Path, manifest: Manifest
) -> None:
    spec = manifest.graphs[CODEC_DECODER]
    model = library.core().read_model(str(voice_bundle / spec.file))
    model.reshape(openvino_graph._shapes(spec, ANY))
    front, back = halves(model, ["codes", "position"], "samples")
    weights = [
        sum(np.prod(op.shape) for op in part.get_ops() if op.get_type_name() == "Constant")
        for part in (front, back)
    ]
    assert weights[1] <= sum(weights) / 16
    assert front.output(MIDDLE) in front.outputs
    assert back.output("samples") in back.outputs
    pasts = [{each.any_name for each in part.inputs} for part in (front, back)]
    assert {state.past.name for state in spec.states} <= pasts[0] | pasts[1]
    assert not {state.past.name for state in spec.states} & pasts[0] & pasts[1]


def test_streams_do_not_hear_each_other(decoders: dict[str, CodecDecoder], codes: Codes) -> None:
    decoder = decoders["openvino"]
    texts = [codes, codes[::-1].copy()]
    alone = [chunked(decoder, each, 4) for each in texts]
    streams, heard = [decoder.begin(), decoder.begin()], ([], [])
    for at in range(0, len(codes), 4):
        for stream, each, into in zip(streams, texts, heard, strict=True):
            into.append(stream.push(each[at : at + 4]))
    assert all(np.array_equal(np.concatenate(a), b) for a, b in zip(heard, alone, strict=True))


def test_a_stream_goes_on_from_a_reference(decoders: dict[str, CodecDecoder], codes: Codes) -> None:
    """However its state came: decoded, kept from the last time, or primed in another process."""
    decoder, half = decoders["openvino"], len(codes) // 2
    whole = decoder.begin()
    whole.push(codes[:half])
    expected = whole.push(codes[half:])
    primed = decoder.prime(codes[:half])
    for reference in (codes[:half], codes[:half], dataclasses.replace(primed)):
        assert np.array_equal(decoder.begin(reference).push(codes[half:]), expected)


def test_it_runs_the_codec_alone(voice_bundle: Path, manifest: Manifest, codes: Codes) -> None:
    speak = {}
    for name in ("ort-cpu", "openvino"):
        tts = Synthesizer.open(voice_bundle, backend=name, threads=1)
        assert tts.backend == name
        chunks = list(tts.stream("The kettle is on.", seed=5, max_seconds=1.0))
        speak[name] = np.concatenate([chunk.codes for chunk in chunks])
    assert np.array_equal(speak["openvino"], speak["ort-cpu"])
    frame = open_backend("openvino").open_frame(voice_bundle, manifest.graphs, 8)
    assert type(frame).__module__.startswith("qwen3_tts_edge.backends.ort")
    assert FRAME in manifest.graphs


@pytest.mark.parametrize(
    ("size", "pays", "expected"),
    [(SMALL, True, "openvino"), (SMALL - 1, True, "ort-cpu"), (SMALL, False, "ort-cpu")],
)
def test_it_is_taken_for_large_codecs_on_cpus_with_bfloat16(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, size: int, pays: bool, expected: str
) -> None:
    monkeypatch.setattr(library, "pays", lambda: pays)
    small = manifest.graphs[CODEC_DECODER]
    reads = msgspec.structs.replace(small.reads, once=size - small.reads.again)
    assert automatic("ort", msgspec.structs.replace(small, reads=reads)) == expected
    assert automatic("ort") == "ort-cpu"


def test_it_is_not_loaded_where_another_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    monkeypatch.setattr(library, "pays", lambda: pytest.fail("32 MB and time for nothing"))
    codec = manifest.graphs[CODEC_DECODER]
    large = msgspec.structs.replace(codec.reads, once=SMALL)
    wanted = open_backend("ort-cpu", codec=msgspec.structs.replace(codec, reads=large))
    assert wanted.name == "ort-cpu"


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    library.core.cache_clear()
    with pytest.raises(BackendError, match="not installed") as caught:
        open_backend("openvino")
    assert "qwen3-tts-edge[openvino]" in caught.value.remedy
    monkeypatch.undo()
    library.core.cache_clear()


@pytest.mark.parametrize("content", ["raise ImportError('DLL load failed')", ""])
def test_a_package_that_is_broken_is_not_said_to_be_absent_and_not_taken(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, tmp_path: Path, content: str
) -> None:
    codec = manifest.graphs[CODEC_DECODER]
    large = msgspec.structs.replace(codec, reads=msgspec.structs.replace(codec.reads, once=SMALL))
    (tmp_path / "openvino.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    library.core.cache_clear()
    with pytest.raises(BackendError, match="OpenVINO cannot be loaded") as caught:
        open_backend("openvino")
    assert "qwen3-tts-edge[openvino]" in caught.value.remedy
    assert open_backend(codec=large).name == "ort-cpu"
    sys.modules.pop("openvino", None)
    monkeypatch.undo()
    library.core.cache_clear()


def test_a_package_that_is_too_old_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest
) -> None:
    """2026.2 cannot read the graphs; whoever has it for something else speaks all the same."""
    import openvino

    codec = manifest.graphs[CODEC_DECODER]
    large = msgspec.structs.replace(codec, reads=msgspec.structs.replace(codec.reads, once=SMALL))
    monkeypatch.setattr(openvino, "__version__", "2026.2.1-21919-ede283a88e3-releases/2026/2")
    library.core.cache_clear()
    with pytest.raises(
        BackendError, match=r"OpenVINO is 2026\.2\.1; expected 2026\.3 or newer"
    ) as it:
        open_backend("openvino")
    assert "pip install --upgrade openvino" in it.value.remedy
    assert automatic("ort", large) == "ort-cpu"
    monkeypatch.undo()
    library.core.cache_clear()


def test_a_damaged_graph_is_named(tmp_path: Path, voice_bundle: Path, manifest: Manifest) -> None:
    spec = manifest.graphs[CODEC_DECODER]
    shutil.copy(voice_bundle / "codec_decoder.data", tmp_path)
    (tmp_path / spec.file).write_bytes((voice_bundle / spec.file).read_bytes()[:5000])
    with pytest.raises(BundleError, match=r"codec_decoder\.onnx cannot be loaded by OpenVINO"):
        open_backend("openvino").open(tmp_path, spec)


def test_a_graph_of_another_shape_is_refused(voice_bundle: Path, manifest: Manifest) -> None:
    """Sound in the place of the last convolution: no graph that its end can be written anew in."""
    spec = manifest.graphs[CODEC_DECODER]
    frame = msgspec.structs.replace(spec, file=manifest.graphs[FRAME].file)
    with pytest.raises(BundleError, match=r"frame\.onnx cannot be loaded by OpenVINO") as caught:
        OpenVinoGraph(voice_bundle, frame, 1)
    assert caught.value.remedy == "export the bundle again"


def test_a_launch_that_fails_is_the_backends_error(
    voice_bundle: Path, manifest: Manifest, codes: Codes
) -> None:
    graph = open_backend("openvino").open(voice_bundle, manifest.graphs[CODEC_DECODER])
    given = {"codes": codes[None, :, :3], "position": np.array([0])}
    with pytest.raises(BackendError, match=r"OpenVINO cannot run codec_decoder\.onnx"):
        graph.run(given, graph.state())


def test_silence_does_not_hiss(decoders: dict[str, CodecDecoder], codes: Codes) -> None:
    """What ends in bfloat16 has eight bits, and its last is heard where nothing else is."""
    quiet = slice(0, 1500)  # before the first word
    levels = {
        name: 10 * np.log10(np.square(each.decode(codes)[quiet]).mean())
        for name, each in decoders.items()
    }
    assert levels["ort-cpu"] < -60
    assert levels["openvino"] < levels["ort-cpu"] + 1
