"""Which voices a checkpoint has: CustomVoice names, VoiceDesign descriptions, Base clones."""

from dataclasses import dataclass

import numpy as np

from qwen3_tts_edge.arrays import strange_codes
from qwen3_tts_edge.bundle.manifest import Manifest
from qwen3_tts_edge.bundle.names import BASE, CUSTOM_VOICE, VOICE_DESIGN
from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.voices.voice import Clone, Design, Speaker, Voice


@dataclass(frozen=True)
class Match:
    """Who was chosen: at most one of speaker and clone, and the instruction, if any."""

    speaker: str | None = None
    clone: Clone | None = None
    instruct: str | None = None


def match(manifest: Manifest, voice: Voice | None, instruct: str | None) -> Match:
    """Match what was asked for with what the checkpoint has.

    Args:
        manifest: Of the bundle.
        voice: Who should speak; None is the first named speaker.
        instruct: How; blank is none.

    Raises:
        InputError: The checkpoint has no such voice or takes no instruction; says what it has.
    """
    instruct = instruct if instruct and instruct.strip() else None
    return _BY_TYPE[manifest.checkpoint.model_type](manifest, voice, instruct)


def any_voice(manifest: Manifest) -> Voice | None:
    """Give a voice that the checkpoint has, for what nobody hears: frames of all cost the same."""
    kind = manifest.checkpoint.model_type
    if kind == BASE:
        return Clone(np.zeros(manifest.hidden_size, np.float32))
    return Design("") if kind == VOICE_DESIGN else None


def _custom_voice(manifest: Manifest, voice: Voice | None, instruct: str | None) -> Match:
    speakers = manifest.speaker_names
    if not isinstance(voice, Speaker | None):
        work = "designs" if isinstance(voice, Design) else "clones"
        raise InputError(
            f"this checkpoint has named voices and {work} none",
            _choice(speakers),
        )
    if instruct and not manifest.takes_instruct:
        raise InputError("this checkpoint takes no instruction", "the 1.7B CustomVoice does")
    if voice is None:
        # Where none is named the model chooses, as upstream where no speaker is asked for.
        return Match(speaker=speakers[0] if speakers else None, instruct=instruct)
    named = {name.lower(): name for name in speakers}.get(voice.name.lower())
    if named is None:
        raise InputError(f"speaker {quoted(voice.name)} is unknown", _choice(speakers))
    return Match(speaker=named, instruct=instruct)


def _choice(speakers: list[str]) -> str:
    if not speakers:
        return "this checkpoint names none, ask for none"
    return f"choose one of {', '.join(speakers)}"


def kept_type(manifest: Manifest) -> str | None:
    """Say what to do about a fine-tune that names speakers and still has the type of its base.

    Returns:
        The remedy; None where the bundle is no such.
    """
    if manifest.checkpoint.model_type != BASE or not manifest.speakers:
        return None
    return (
        f"it names {', '.join(manifest.speaker_names)}: to speak with them set tts_model_type "
        "to custom_voice in the checkpoint's config.json, and export it again"
    )


def _voice_design(_: Manifest, voice: Voice | None, instruct: str | None) -> Match:
    if not isinstance(voice, Design):
        raise InputError(
            "this checkpoint designs its voices",
            "describe one: --design 'an old man', or Voice.design('an old man')",
        )
    if instruct:
        raise InputError(
            "this checkpoint takes its instruction as the voice's description",
            "put both in --design, or Voice.design",
        )
    return Match(instruct=voice.description)


def _base(manifest: Manifest, voice: Voice | None, instruct: str | None) -> Match:
    if not isinstance(voice, Clone):
        kept = kept_type(manifest) if isinstance(voice, Speaker) else None
        raise InputError(
            "this checkpoint clones voices",
            kept
            or "give it a reference recording: --ref-audio, or Synthesizer.clone; or a voice that "
            "is kept: --voice, or Voice.load",
        )
    if instruct:
        raise InputError("this checkpoint takes no instruction", "the 1.7B CustomVoice does")
    if voice.family is not None:
        voice.family.check(manifest)
    if voice.speaker_vector.shape != (manifest.hidden_size,):
        raise InputError(
            f"the cloned voice has a speaker vector of {len(voice.speaker_vector)} numbers, this "
            f"checkpoint reads {manifest.hidden_size}",
            "clone it again with this checkpoint",
        )
    if voice.codes is not None:
        if voice.codes.shape[1] != manifest.codebooks:
            raise InputError(
                f"the cloned voice has {voice.codes.shape[1]} codebooks, this checkpoint "
                f"{manifest.codebooks}",
                "clone it again with this checkpoint",
            )
        if (strange := strange_codes(voice.codes, manifest.codebook_size)) is not None:
            raise InputError(
                f"the cloned voice's codes {strange}", "clone it again with this checkpoint"
            )
    return Match(clone=voice)


_BY_TYPE = {CUSTOM_VOICE: _custom_voice, VOICE_DESIGN: _voice_design, BASE: _base}
