"""The talker, code predictor and speaker encoder to be trained, as one network.

The 16 tables of code embeddings are one parameter here; `official_state` takes them apart again.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qwen3_tts_voice.codes import ACOUSTIC, BOOKS, CODES, Quantiser
from qwen3_tts_voice.decoder_model import official
from qwen3_tts_voice.speakers import HEIGHTS, NAMED, TRACTS
from qwen3_tts_voice.transformer import Stack, Transformer

_NAMES = ("pad", "bos", "eos", "think", "nothink", "think_bos", "think_eos", "english")
CONTROL = {name: CODES + number for number, name in enumerate(_NAMES)}
SPEAKER_CODES = {name: CODES + 16 + number for number, name in enumerate(NAMED)}
HEARD = -2
"""The control code of the row that a speaker's vector is in."""
PHONES = 64
FOLLOWING = 4
"""The codebook that names the phoneme after a frame, and more than the phonemes there are."""
END = CODES
"""End of speech among the trained outputs: the codes, then this."""
IGNORE = -100
"""The label of a row that predicts no frame."""


TALKER = Stack(layers=6, hidden=256, heads=4, kv_heads=2, head_dim=64, mlp=768)
PREDICTOR = Stack(layers=2, hidden=128, heads=4, kv_heads=2, head_dim=32, mlp=384)
VOCAB, TEXT_VOCAB, TEXT_HIDDEN = CODES + 1024, 520, 256
SPEAKER_ENCODER: dict[str, Any] = {
    "mel_dim": 128,
    "enc_dim": TALKER.hidden,
    "enc_channels": [64, 64, 64, 64, 192],
    "enc_kernel_sizes": [5, 3, 3, 3, 1],
    "enc_dilations": [1, 2, 3, 4, 1],
    "enc_attention_channels": 32,
    "enc_res2net_scale": 8,
    "enc_se_channels": 32,
    "sample_rate": 24_000,
}


@dataclasses.dataclass
class Batch:
    """Rows of one batch, padded to one length.

    Attributes:
        text: (batch, time) text ids.
        control: (batch, time) control codes beside them, -1 where none, HEARD where the vector is.
        codes: (batch, time, 16), and `is_frame` says where.
        is_frame: (batch, time).
        label: (batch, time) codebook 0 to be predicted, END, or IGNORE.
        look: (batch, time, time) text a frame's row should look at; all zero where unknown.
        mel: (batch, frames, 128) something that the speaker said.
        traits: (batch, 2) the speaker's tract and height of pitch.
    """

    text: torch.Tensor
    control: torch.Tensor
    codes: torch.Tensor
    is_frame: torch.Tensor
    label: torch.Tensor
    look: torch.Tensor
    mel: torch.Tensor
    traits: torch.Tensor


USUAL_MEL = -5.5
"""Of speech, about, in the official log-mel."""


@torch.no_grad()
def speaker_encoder(seed: int) -> Any:
    """Build the official speaker encoder in small, its weights random.

    Its first layer has no norm before it and a ReLU behind: with usual log-mel taken off by its
    bias it begins alive, where it would die of the first steps.
    """
    official()
    from qwen_tts.core.models.configuration_qwen3_tts import Qwen3TTSSpeakerEncoderConfig
    from qwen_tts.core.models.modeling_qwen3_tts import Qwen3TTSSpeakerEncoder

    torch.manual_seed(seed)
    made = Qwen3TTSSpeakerEncoder(Qwen3TTSSpeakerEncoderConfig(**SPEAKER_ENCODER))
    first = made.blocks[0].conv
    first.bias -= USUAL_MEL * first.weight.sum((1, 2))
    return made


class TextProjection(nn.Module):
    """Text embeddings to talker rows."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(TEXT_HIDDEN, TEXT_HIDDEN)
        self.linear_fc2 = nn.Linear(TEXT_HIDDEN, TALKER.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Project embeddings to rows."""
        return self.linear_fc2(F.silu(self.linear_fc1(x)))


_RENAMED = {
    "talker.": "model.",
    "text_projection.": "text_projection.",
    "predictor.": "code_predictor.model.",
    "narrow.": "code_predictor.small_to_mtp_projection.",
}
"""The beginnings of parameters' names here, and what the official names have in their place."""


class Talker(nn.Module):
    """Text and frames in, distributions of the next frame out."""

    def __init__(self, quantiser: Quantiser, seed: int) -> None:
        super().__init__()
        hidden, inner = TALKER.hidden, PREDICTOR.hidden
        self.talker = Transformer(TALKER)
        self.text_embedding = nn.Parameter(torch.empty(TEXT_VOCAB, TEXT_HIDDEN))
        self.control = nn.Parameter(torch.empty(VOCAB - CODES, hidden))
        self.codes = nn.Parameter(torch.empty(BOOKS, CODES, hidden))
        self.text_projection = TextProjection()
        self.codec_head = nn.Linear(hidden, CODES + 1, bias=False)
        self.predictor = Transformer(PREDICTOR)
        self.heads = nn.Parameter(torch.empty(BOOKS - 1, CODES, inner))
        self.narrow = nn.Linear(hidden, inner)
        self.speaker_encoder = speaker_encoder(seed)
        self.next_phone = nn.Linear(hidden, PHONES)
        """Training only: guess the phoneme after the frame, which has to be read from the text."""
        self.traits = nn.Linear(hidden, TRACTS + HEIGHTS)
        """Training only: tell tract and pitch by a speaker's vector."""
        self._start(quantiser, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _start(self, quantiser: Quantiser, random: torch.Generator) -> None:
        """Draw random weights; codes that sound alike get embeddings and heads that are alike."""
        for name, p in self.named_parameters():
            if name.endswith("norm.weight") or name.startswith("speaker_encoder."):
                continue
            if p.dim() == 1:
                p.zero_()
                continue
            scale = {"text_embedding": 1.0, "control": 0.3, "codes": 0.3, "heads": 0.05}
            p.normal_(0, scale.get(name, 0.8 / math.sqrt(p.shape[-1])), generator=random)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                p.mul_(1 / math.sqrt(2 * TALKER.layers))
        turn = torch.linalg.qr(torch.randn(TALKER.hidden, TALKER.hidden, generator=random))[0]
        alike = quantiser.acoustic / quantiser.acoustic.std((1, 2), keepdim=True)
        self.codes.add_(0.2 * alike @ turn[:ACOUSTIC])
        turn = torch.linalg.qr(torch.randn(PREDICTOR.hidden, PREDICTOR.hidden, generator=random))[0]
        self.heads.add_(0.05 * alike[1:] @ turn[:ACOUSTIC])

    def text(self, ids: torch.Tensor) -> torch.Tensor:
        """Turn text ids into rows."""
        return self.text_projection(self.text_embedding[ids])

    def frames(self, codes: torch.Tensor) -> torch.Tensor:
        """Sum the embeddings of codes (n, 16) to (n, hidden)."""
        flat = codes + torch.arange(BOOKS) * CODES
        return F.embedding_bag(flat, self.codes.view(-1, TALKER.hidden), mode="sum")

    def vectors(self, batch: Batch) -> torch.Tensor:
        """Compute the vectors (batch, hidden) of the speakers."""
        vectors: torch.Tensor = self.speaker_encoder(batch.mel)
        return vectors

    def rows(
        self, batch: Batch, codes: torch.Tensor, keep: torch.Tensor, vectors: torch.Tensor
    ) -> torch.Tensor:
        """Make the talker's input (batch, time, hidden), with `codes` where `keep` is true.

        The speakers' vectors are where they are to be HEARD.
        """
        # One bag per frame row; other rows have none.
        embedded = torch.zeros(*keep.shape, TALKER.hidden)
        embedded[keep] = self.frames(codes[keep]).float()
        controls = F.embedding((batch.control - CODES).clamp(min=0), self.control)
        beside = (batch.control >= 0)[..., None]
        heard = (batch.control == HEARD)[..., None] * vectors[:, None]
        return self.text(batch.text) + embedded + controls * beside + heard

    def _passes(self, hidden: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Run the code predictor over a frame's first 15 codes: hidden states (n, 16, inner)."""
        flat = codes[:, :-1] + torch.arange(BOOKS - 1) * CODES
        rows = F.embedding(flat, self.codes.view(-1, TALKER.hidden))
        y, _ = self.predictor(self.narrow(torch.cat([hidden[:, None], rows], 1)))
        return y

    def likeliest(self, hidden: torch.Tensor, codes: torch.Tensor, book: int) -> torch.Tensor:
        """Find the likeliest code (n,) of a codebook from 1 on, given those before it."""
        return (self._passes(hidden, codes)[:, book] @ self.heads[book - 1].T).argmax(-1)

    def predict(self, hidden: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """Compute the cross-entropy of codebooks 1 to 15 given the codes before: (15, n)."""
        y = self._passes(hidden, codes)
        logits = torch.bmm(y[:, 1:].transpose(0, 1), self.heads.to(y.dtype).transpose(1, 2))
        losses = F.cross_entropy(
            logits.float().reshape(-1, CODES), codes[:, 1:].T.reshape(-1), reduction="none"
        )
        return losses.view(BOOKS - 1, -1)

    def official_state(self) -> dict[str, torch.Tensor]:
        """Return the state by the official names: `talker.…` and `speaker_encoder.…`."""
        state = self.state_dict()
        out = {
            "model.text_embedding.weight": state["text_embedding"],
            "model.codec_embedding.weight": torch.cat([state["codes"][0], state["control"]]),
        }
        head = torch.zeros(VOCAB, TALKER.hidden)
        head[:CODES] = state["codec_head.weight"][:CODES]
        head[CONTROL["eos"]] = state["codec_head.weight"][END]
        out["codec_head.weight"] = head
        for book in range(BOOKS - 1):
            table = f"code_predictor.model.codec_embedding.{book}.weight"
            out[table] = state["codes"][book + 1]
            out[f"code_predictor.lm_head.{book}.weight"] = state["heads"][book]
        for name, value in state.items():
            for old, new in _RENAMED.items():
                if name.startswith(old):
                    out[new + name.removeprefix(old)] = value
        named = {f"talker.{name}": value for name, value in out.items()}
        heard = {name: v for name, v in state.items() if name.startswith("speaker_encoder.")}
        return named | heard

    @torch.no_grad()
    def load_official(self, official: dict[str, torch.Tensor]) -> None:
        """Undo `official_state`; what is for training only stays as it is.

        Layers that the other did not have begin by adding nothing, and a speaker encoder that it
        did not have, from where it is.
        """
        found = {name.removeprefix("talker."): value for name, value in official.items()}
        state = self.state_dict()
        books = [
            found[f"code_predictor.model.codec_embedding.{book}.weight"]
            for book in range(BOOKS - 1)
        ]
        embedded, head = found["model.codec_embedding.weight"], found["codec_head.weight"]
        state["text_embedding"] = found["model.text_embedding.weight"]
        state["codes"] = torch.stack([embedded[:CODES], *books])
        state["control"] = embedded[CODES:]
        ends = CONTROL["eos"]
        state["codec_head.weight"] = torch.cat([head[:CODES], head[ends : ends + 1]])
        state["heads"] = torch.stack(
            [found[f"code_predictor.lm_head.{book}.weight"] for book in range(BOOKS - 1)]
        )
        for name in state:
            for old, new in _RENAMED.items():
                if name.startswith(old):
                    theirs = found.get(new + name.removeprefix(old))
                    adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                    if theirs is not None:
                        state[name] = theirs
                    elif adds:
                        state[name] = torch.zeros_like(state[name])
        state |= {name: v for name, v in official.items() if name.startswith("speaker_encoder.")}
        self.load_state_dict(state)
