"""Name what is no checkpoint but was made of one: an adapter, a quantised or a converted copy.

They are told by what their files are and say, before a name or a shape is compared: that a tensor
is missing would be true, and of no help.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from qwen3_tts_edge.bundle.head import FILE as MANIFEST
from qwen3_tts_edge.errors import CheckpointError, quoted


class CopyError(CheckpointError):
    """What was made of a checkpoint, and is none any more."""


_WHOLE = "use the official weights, or the fine-tune as it was before"
_MERGE = (
    "merge it into the checkpoint it was trained on, with PEFT's merge_and_unload(), and save all"
    " of that"
)

_CONVERTED = {
    "*.gguf": "GGUF",
    "*.onnx": "ONNX",
    "onnx/*.onnx": "ONNX",
    "openvino*.xml": "OpenVINO",
    "*.mlpackage": "Core ML",
    "*.mlmodelc": "Core ML",
}
"""Files that tell of another format."""

_IN_PARTS = {
    "zero_to_fp32.py": ("DeepSpeed", "join them: python zero_to_fp32.py . . --safe_serialization"),
    "*/*.distcp": ("FSDP", "join them with `accelerate merge-weights`"),
}
"""Files that tell of a training on several GPUs, where each has saved its part."""

_BESIDE = re.compile(r"training_args|optimizer|scheduler|scaler|rng_state")
"""How files begin that a training leaves beside the weights."""

_QUANTISED = {
    "bitsandbytes": (".absmax", ".quant_map", ".nested_absmax", ".SCB"),
    "GPTQ or AWQ": (".qweight", ".qzeros", ".g_idx"),
    "FP8": (".weight_scale", ".weight_scale_inv", ".input_scale"),
    "MLX": (".scales",),
}
"""What made a quantised copy, and how tensors are called that it puts beside others."""

_WRAPPED = {
    "module.": "DistributedDataParallel",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "checkpoint_wrapper",
    "base_model.model.": "PEFT",
}
"""What is in front of all names when a wrapper was saved, and not the model inside."""


def refuse_copy_by_files(folder: Path) -> None:
    """Refuse a folder that holds a bundle, weights of another format, or an adapter.

    Raises:
        CopyError: Says what it is and what to do.
    """
    if (folder / MANIFEST).is_file() and not (folder / "config.json").is_file():
        raise CopyError(
            f"{folder} is a bundle, which was made of a checkpoint already",
            "speak with it as it is, or name the checkpoint to make another",
        )
    adapted = (folder / "adapter_config.json").is_file()
    if any(folder.glob("model*.safetensors*")):
        if adapted:  # which transformers would put on the base that it names
            raise CopyError(
                f"{folder} holds a LoRA adapter beside the weights, and would speak without it",
                f"{_MERGE}; if that was done, take adapter_config.json away",
            )
        return
    if adapted:
        raise CopyError(f"{folder} holds a LoRA adapter, not a whole checkpoint", _MERGE)
    for pattern, format_ in _CONVERTED.items():
        if any(folder.glob(pattern)):
            raise CopyError(f"{folder} holds a copy converted to {format_}", _WHOLE)
    for pattern, (program, cure) in _IN_PARTS.items():
        if any(folder.glob(pattern)):
            raise CopyError(f"{folder} holds the parts of a checkpoint of {program}", cure)
    for ending in ("bin", "pt", "pth", "ckpt"):
        for file in sorted(folder.glob(f"[!.]*.{ending}")):
            if _BESIDE.match(file.name):
                continue
            raise CopyError(
                f"{folder} holds {file.name} and no model.safetensors",
                "save its state_dict with safetensors.torch.save_file",
            )


def refuse_copy_by_config(config: Mapping[str, Any], file: Path) -> None:
    """Refuse a config.json that says of itself that the weights were quantised.

    Raises:
        CopyError: Says by what.
    """
    for key in ("quantization_config", "quantization"):
        said = config.get(key)
        if isinstance(said, Mapping) and said:
            method = said.get("quant_method", "MLX" if key == "quantization" else "another program")
            raise CopyError(f"{file}: this is a copy quantised by {method} ({key})", _WHOLE)


def refuse_copy_by_tensors(
    names: Collection[str],
    metadata: Collection[str],
    expected: Collection[str],
    folder: Path,
) -> None:
    """Refuse weights whose tensors are called as another program calls them.

    Args:
        names: The tensors that are there.
        metadata: What the headers say their format is.
        expected: The tensors of a checkpoint.
        folder: Where the weights lie, for messages.

    Raises:
        CopyError: Says what made them and what to do.
    """
    for name in names:
        if ".lora_" in name or ".base_layer." in name:
            raise CopyError(f"{folder}: {name} is of a LoRA adapter that was not merged", _MERGE)
        for program, endings in _QUANTISED.items():
            if name.endswith(endings) and name not in expected:
                raise CopyError(f"{folder}: this is a copy quantised by {program} ({name})", _WHOLE)
    if "mlx" in metadata:
        raise CopyError(f"{folder}: this is a copy converted for MLX", _WHOLE)
    for name in names:
        for inside, program in _WRAPPED.items():
            if name not in expected and name.replace(f".{inside}", ".") in expected:
                raise CopyError(
                    f"{folder}: {name} has {quoted(inside)} in its name",
                    f"save the state_dict of the model inside {program}, or take that out of the "
                    "names",
                )
    _refuse_prefix(names, expected, folder)


def _refuse_prefix(names: Collection[str], expected: Collection[str], folder: Path) -> None:
    first = next(iter(expected))
    if first in names:
        return
    part, _, inside = first.partition(".")
    if inside in names:
        raise CopyError(
            f"{folder}: the names of its tensors lack {quoted(f'{part}.')} in front",
            f"save the state_dict of the whole model, not of its {part} alone",
        )
    found = next((name for name in names if name.endswith(f".{first}")), None)
    if found is None:
        return
    prefix = found.removesuffix(first)
    wrapper = _WRAPPED.get(prefix)
    wrapped = "the model inside" if wrapper is None else f"the model inside {wrapper}"
    raise CopyError(
        f"{folder}: the names of its tensors begin with {quoted(prefix)}",
        f"save the state_dict of {wrapped}, or take the prefix off the names",
    )
