"""Adapters, quantised and converted copies are called by their name, and the cure is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edits import Edit, edit_json, edit_tensors, refusal

WEIGHTS = "model.safetensors"
LAYER = "talker.model.layers.0.mlp.up_proj"
Tensors = dict[str, torch.Tensor]


def renamed(change: Callable[[str], str]) -> Edit:
    def rename(tensors: Tensors) -> None:
        named = {change(name): tensor for name, tensor in tensors.items()}
        tensors.clear()
        tensors.update(named)

    return lambda folder: edit_tensors(folder / WEIGHTS, rename)


def with_tensor(name: str, tensor: torch.Tensor) -> Edit:
    return lambda folder: edit_tensors(folder / WEIGHTS, lambda t: t.update({name: tensor}))


def transposed(folder: Path) -> None:
    name = "speaker_encoder.blocks.0.conv.weight"
    turn: Callable[[Tensors], Any] = lambda t: t.update({name: t[name].mT.contiguous()})  # noqa: E731
    edit_tensors(folder / WEIGHTS, turn)


def beside(*names: str) -> Edit:
    def edit(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("{}")

    return edit


def only(*names: str) -> Edit:
    def edit(folder: Path) -> None:
        (folder / WEIGHTS).unlink()
        beside(*names)(folder)

    return edit


BITSANDBYTES = {"quant_method": "bitsandbytes", "load_in_4bit": True}


@pytest.mark.parametrize(
    ("edit", "said", "cure"),
    [
        (
            lambda folder: edit_json(folder / "config.json", quantization_config=BITSANDBYTES),
            "this is a copy quantised by bitsandbytes (quantization_config)",
            "use the official weights",
        ),
        (
            lambda folder: edit_json(folder / "config.json", quantization={"bits": 8}),
            "this is a copy quantised by MLX (quantization)",
            "use the official weights",
        ),
        (
            with_tensor(f"{LAYER}.weight.absmax", torch.ones(2)),
            f"this is a copy quantised by bitsandbytes ({LAYER}.weight.absmax)",
            "use the official weights",
        ),
        (
            renamed(lambda name: name.replace("up_proj.weight", "up_proj.qweight")),
            "this is a copy quantised by GPTQ or AWQ",
            "use the official weights",
        ),
        (
            with_tensor(f"{LAYER}.scales", torch.ones(2)),
            "this is a copy quantised by MLX",
            "use the official weights",
        ),
        (
            with_tensor(f"{LAYER}.weight", torch.ones(192, 128, dtype=torch.float8_e4m3fn)),
            f"{LAYER}.weight is stored as F8_E4M3, expected one of BF16, F16, F32",
            "use the official weights, not a quantised copy",
        ),
        (
            with_tensor(f"{LAYER}.weight", torch.ones(192, 128, dtype=torch.float64)),
            "is stored as F64",
            "save it in float32",
        ),
        (
            lambda folder: edit_tensors(folder / WEIGHTS, lambda _: None, "mlx"),
            "this is a copy converted for MLX",
            "use the official weights",
        ),
        (transposed, "a copy converted for another program", "save the weights again"),
        (only("model-q8_0.gguf"), "holds a copy converted to GGUF", "use the official weights"),
        (
            only("openvino_talker.xml", "openvino_talker.bin"),
            "holds a copy converted to OpenVINO",
            "use the official weights",
        ),
        (only("onnx/talker.onnx"), "holds a copy converted to ONNX", "use the official weights"),
        (
            only("zero_to_fp32.py", "global_step9/mp_rank_00_model_states.pt"),
            "holds the parts of a checkpoint of DeepSpeed",
            "python zero_to_fp32.py . . --safe_serialization",
        ),
        (
            only("pytorch_model_fsdp_0/__0_0.distcp", "optimizer.bin"),
            "holds the parts of a checkpoint of FSDP",
            "accelerate merge-weights",
        ),
        (
            only("pytorch_model.bin"),
            "holds pytorch_model.bin and no model.safetensors",
            "save its state_dict with safetensors.torch.save_file",
        ),
        (
            only("training_args.bin", "optimizer.pt", "pytorch_model.bin"),
            "holds pytorch_model.bin and no model.safetensors",
            "save its state_dict",
        ),
        (
            only("optimizer.pt"),
            "model.safetensors is missing; expected the weights",
            "copy or save them there",
        ),
        (only("adapter_config.json"), "holds a LoRA adapter", "merge_and_unload()"),
        (
            beside("adapter_config.json"),
            "holds a LoRA adapter beside the weights, and would speak without it",
            "merge_and_unload(), and save all of that; if that was done, take adapter_config.json",
        ),
        (
            with_tensor(f"base_model.model.{LAYER}.lora_A.default.weight", torch.ones(2)),
            "is of a LoRA adapter that was not merged",
            "merge_and_unload()",
        ),
        (
            renamed(lambda name: f"module.{name}"),
            "the names of its tensors begin with 'module.'",
            "save the state_dict of the model inside DistributedDataParallel, or take the prefix",
        ),
        (
            renamed(lambda name: name.replace("talker.", "talker._orig_mod.")),
            "talker._orig_mod.",
            "save the state_dict of the model inside torch.compile",
        ),
        (
            renamed(lambda name: name.replace("layers.0.", "layers.0._checkpoint_wrapped_module.")),
            "has '_checkpoint_wrapped_module.' in its name",
            "save the state_dict of the model inside checkpoint_wrapper",
        ),
        (
            renamed(lambda name: name.removeprefix("talker.")),
            "the names of its tensors lack 'talker.' in front",
            "save the state_dict of the whole model, not of its talker alone",
        ),
        (
            renamed(lambda name: f"model.{name}"),
            "the names of its tensors begin with 'model.'",
            "save the state_dict of the model inside, or take the prefix off the names",
        ),
    ],
)
def test_a_copy_is_named_with_its_cure(copy: Path, edit: Edit, said: str, cure: str) -> None:
    edit(copy)
    message = refusal(copy)
    assert said in message
    assert cure in message
    assert "download" not in message


def test_a_bundle_is_no_checkpoint(tmp_path: Path) -> None:
    beside("manifest.json", "frame.onnx")(tmp_path)
    assert "is a bundle, which was made of a checkpoint already; speak with it" in refusal(tmp_path)


def test_an_adapter_without_a_config_is_an_adapter(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    assert "holds a LoRA adapter, not a whole checkpoint; merge it" in refusal(tmp_path)
