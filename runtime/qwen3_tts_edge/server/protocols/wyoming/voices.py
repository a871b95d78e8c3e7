"""Voices as Wyoming's programs are told of them.

Home Assistant lists voices by language and then sends a voice's name alone. So where a bundle has
several languages, the name says the language too.
"""

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

from qwen3_tts_edge.errors import InputError, quoted
from qwen3_tts_edge.server.protocols.wyoming.events import VoiceAsked
from qwen3_tts_edge.server.service import Service
from qwen3_tts_edge.server.voices.names import Voices
from qwen3_tts_edge.version import VERSION
from qwen3_tts_edge.voices.voice import Voice


def info(service: Service) -> Info:
    """Describe what speaks here; the files of kept voices are read for it."""
    languages = service.voices.languages
    voices = [
        TtsVoice(
            name=f"{name}{_suffix(language)}" if len(languages) > 1 else name,
            attribution=Attribution(service.name, ""),
            installed=True,
            description=name,
            version=VERSION,
            languages=[language],
        )
        for name in (*service.voices.speakers, *service.voices.kept())
        for language in languages
    ]
    program = TtsProgram(
        name="qwen3-tts-edge",
        attribution=Attribution("qwen3-tts-edge", ""),
        installed=True,
        description=f"Qwen3-TTS, {service.name}",
        version=VERSION,
        voices=voices,
        supports_synthesize_streaming=True,
    )
    return Info(tts=[program])


def find(voices: Voices, asked: VoiceAsked | None) -> tuple[Voice | None, str | None]:
    """Find who shall speak, and in which language; None leaves either to the bundle.

    Raises:
        InputError: There is no such voice, or a speaker of it is asked for.
    """
    asked = asked or VoiceAsked()
    name, language = asked.name or "", asked.language
    for each in voices.languages:
        if name.lower().endswith(_suffix(each)):
            name, language = name[: -len(_suffix(each))], each
    if asked.speaker and asked.speaker.strip().lower() != name.lower():
        raise InputError(
            f"the voice {quoted(name)} has no speaker {quoted(asked.speaker)}",
            "leave it out, or name it as the voice",
        )
    return voices.find(name), language


def _suffix(language: str) -> str:
    return f" ({language})"
