"""The official package on the same machine in the same run."""

from importlib.util import find_spec
from pathlib import Path

from hardware.case import spread
from hardware.record import Figures, NotRun
from qwen3_tts_edge.machine.bench import TEXT

_FRAMES_A_TURN = 24
_TURNS = 2


def official(checkpoint: Path) -> Figures:
    """Talker and code predictor of `qwen-tts` in bfloat16: milliseconds a frame."""
    for name in ("torch", "transformers", "qwen_tts"):
        if find_spec(name) is None:
            raise NotRun(f"{name} is not installed")
    import torch

    from against_official import official_frames
    from oracle import Case, load_official

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_official(checkpoint, dtype=torch.bfloat16, attention="sdpa", device=device)
    speaker = next(iter(model.wrapper.get_supported_speakers()))
    case = Case("custom_voice", "same", TEXT, speaker=speaker, language="auto")
    took = [official_frames(model, case, _FRAMES_A_TURN) for _ in range(1 + _TURNS)][1:]
    return {"device": device, "dtype": "bfloat16"} | spread(t for turn in took for t in turn)
