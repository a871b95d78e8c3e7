"""What cannot be spoken is refused, and the message says what can."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from qwen3_tts_edge import Sampling, Voice
from qwen3_tts_edge.bundle import Bundle
from qwen3_tts_edge.bundle.manifest import TEXT_ROWS, TOKENIZER, Manifest
from qwen3_tts_edge.errors import BundleError, InputError, Qwen3TTSError
from qwen3_tts_edge.speech.prompt import PromptBuilder

SPEAKERS = {"vivian": 3, "ryan": 1, "eric": 2}


def builder(bundle: Path, **changes: object) -> PromptBuilder:
    """A prompt builder over the voice's tables, for another checkpoint than it is."""
    manifest = Manifest.load(bundle)
    kind = changes.pop("kind", "custom_voice")
    origin = msgspec.structs.replace(manifest.checkpoint, model_type=kind)
    changes = {"speakers": SPEAKERS, "dialects": {}} | changes
    manifest = msgspec.structs.replace(manifest, checkpoint=origin, **changes)
    return PromptBuilder(Bundle(bundle, manifest))


@pytest.fixture
def custom(voice_bundle: Path) -> PromptBuilder:
    languages = {"english": 5, "chinese": 6, "sichuan_dialect": 7}
    return builder(
        voice_bundle, languages=languages, dialects={"eric": "sichuan_dialect"}, takes_instruct=True
    )


@pytest.fixture
def design(voice_bundle: Path) -> PromptBuilder:
    return builder(voice_bundle, kind="voice_design", speakers={})


@pytest.mark.parametrize("text", ["", " ", "\n\t  \r\n", "\u3000"])
def test_nothing_to_say(custom: PromptBuilder, text: str) -> None:
    with pytest.raises(InputError, match="the text is empty; give at least one word to say"):
        custom.build(text)


@pytest.mark.parametrize("token", ["<|im_end|>", "<|im_start|>", "<tts_pad>", "<|endoftext|>"])
def test_control_tokens_are_no_words(custom: PromptBuilder, token: str) -> None:
    with pytest.raises(InputError) as caught:
        custom.build(f"Say {token} now.")
    assert f"the text contains {token}, a control token" in str(caught.value)
    with pytest.raises(InputError, match="control token"):
        custom.build("Hello.", instruct=f"angry {token}")


def test_a_text_that_is_no_unicode(custom: PromptBuilder) -> None:
    with pytest.raises(InputError, match=r"not valid Unicode: .* at character 4; convert it"):
        custom.build("abc \udcff")


def test_an_unknown_speaker(custom: PromptBuilder) -> None:
    message = "speaker 'bob' is unknown; choose one of eric, ryan, vivian"
    with pytest.raises(InputError, match=message):
        custom.build("Hello.", Voice.speaker("bob"))


def test_a_speaker_without_a_name() -> None:
    with pytest.raises(InputError, match="the speaker's name is empty"):
        Voice.speaker("  ")


def test_an_unknown_language(custom: PromptBuilder) -> None:
    message = "language 'Klingon' is unknown; choose one of auto, chinese, english"
    with pytest.raises(InputError, match=message):
        custom.build("Hello.", language="Klingon")


def test_a_dialect_comes_with_its_speaker_and_is_no_language(custom: PromptBuilder) -> None:
    with pytest.raises(InputError, match="language 'sichuan_dialect' is unknown"):
        custom.build("Hello.", language="sichuan_dialect")


def test_an_unknown_layout(custom: PromptBuilder) -> None:
    with pytest.raises(InputError, match="text layout 'x' is unknown; use upfront or streamed"):
        custom.build("Hello.", text_layout="x")


def test_an_instruction_where_none_is_taken(voice_bundle: Path) -> None:
    deaf = builder(voice_bundle, takes_instruct=False)
    with pytest.raises(InputError, match=r"takes no instruction; the 1\.7B CustomVoice does"):
        deaf.build("Hello.", instruct="angry")
    blank = deaf.build("Hello.", instruct="  ")
    assert len(blank.rows) == len(deaf.build("Hello.").rows)


def test_a_checkpoint_that_names_nobody_chooses_itself(voice_bundle: Path) -> None:
    """As upstream where the speaker is None: no row says who speaks."""
    nameless, named = builder(voice_bundle, speakers={}), builder(voice_bundle)
    without, with_one = (each.build("Hello.", language="auto").rows for each in (nameless, named))
    assert len(without) == len(with_one) - 1
    with pytest.raises(InputError, match="speaker 'ryan' is unknown; this checkpoint names none"):
        nameless.build("Hello.", Voice.speaker("ryan"))


def test_a_fine_tune_that_kept_the_type_of_its_base_is_told_so(voice_bundle: Path) -> None:
    base = builder(voice_bundle, kind="base", speakers={"Anna": 3})
    with pytest.raises(InputError, match=r"it names Anna: .* set tts_model_type to custom_voice"):
        base.build("Hello.", Voice.speaker("Anna"))
    with pytest.raises(InputError, match="give it a reference recording"):
        base.build("Hello.")


def test_a_long_name_stays_out_of_a_message(custom: PromptBuilder) -> None:
    for call in ({"voice": Voice.speaker("x" * 10**5)}, {"language": "x" * 10**5}):
        with pytest.raises(InputError) as caught:
            custom.build("Hello.", **call)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 400


def test_a_description_where_voices_have_names(custom: PromptBuilder) -> None:
    message = "has named voices and designs none; choose one of eric, ryan, vivian"
    with pytest.raises(InputError, match=message):
        custom.build("Hello.", Voice.design("an old man"))


@pytest.mark.parametrize("voice", [None, Voice.speaker("ryan")])
def test_a_name_where_voices_are_described(design: PromptBuilder, voice: Voice | None) -> None:
    with pytest.raises(InputError, match="designs its voices; describe one"):
        design.build("Hello.", voice)


def test_an_instruction_beside_a_description(design: PromptBuilder) -> None:
    with pytest.raises(InputError, match="takes its instruction as the voice's description"):
        design.build("Hello.", Voice.design("an old man"), instruct="angry")


def test_names_are_taken_in_any_letter_case(custom: PromptBuilder) -> None:
    loud = custom.build("Hello.", Voice.speaker(" RYAN "), language=" English ")
    quiet = custom.build("Hello.", Voice.speaker("ryan"), language="english")
    assert (loud.rows == quiet.rows).all()


def test_a_damaged_table(voice_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / TEXT_ROWS).write_bytes(b"\x93NUMPY")
    (tmp_path / TOKENIZER).write_bytes((voice_bundle / TOKENIZER).read_bytes())
    with pytest.raises(BundleError, match=r"text_rows\.npy cannot be read .*; export the bundle"):
        PromptBuilder(Bundle(tmp_path, Manifest.load(voice_bundle)))


@pytest.mark.parametrize("name", ["temperature", "subtalker_temperature", "repetition_penalty"])
@pytest.mark.parametrize("value", [0, -1, 1e-300, 1e300, float("nan"), float("inf")])
def test_settings_that_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(
        InputError,
        match=rf"{name} is {re.escape(repr(value))}; expected a number above 0, in float32",
    ):
        Sampling(**{name: value})


@pytest.mark.parametrize("name", ["top_p", "subtalker_top_p"])
@pytest.mark.parametrize("value", [0, -0.1, 1e-300, 1.01, float("nan")])
def test_settings_that_are_a_share(name: str, value: float) -> None:
    with pytest.raises(
        InputError, match=rf"{name} is {value}; expected a number above 0 and at most 1"
    ):
        Sampling(**{name: value})


def test_a_zero_beside_greedy_decoding_chooses_nothing(voice_bundle: Path) -> None:
    """Programs for transformers give both, and there the zero is not read."""
    defaults = Manifest.load(voice_bundle).sampling
    zeros = Sampling(do_sample=False, temperature=0, top_p=0.0, top_k=7)
    expected = Sampling(do_sample=False, top_k=7)
    assert zeros.over(defaults) == expected.over(defaults)
    below = Sampling(subtalker_dosample=False, subtalker_temperature=0.0)
    assert below.over(defaults) == Sampling(subtalker_dosample=False).over(defaults)
    for wrong in ({"subtalker_temperature": 0}, {"temperature": -1}, {"temperature": "0"}):
        with pytest.raises(InputError, match="expected a number above 0"):
            Sampling(do_sample=False, **wrong)


@pytest.mark.parametrize("name", ["top_k", "subtalker_top_k"])
def test_settings_that_are_a_count(name: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name} is -1; expected a whole number, 0 \(keep all codes\) or more"
    ):
        Sampling(**{name: -1})
    assert Sampling(**{name: 0})


def test_every_refusal_is_of_the_family_and_a_value_error(custom: PromptBuilder) -> None:
    for kind in (Qwen3TTSError, ValueError):
        with pytest.raises(kind):
            custom.build("")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "0.7"),
        ("temperature", True),
        ("temperature", np.array([0.7, 0.8])),
        ("temperature", 10**400),
        ("top_p", [0.9]),
        ("top_k", 2.5),
        ("top_k", True),
        ("subtalker_top_k", "3"),
        ("do_sample", 1),
    ],
)
def test_settings_of_the_wrong_type_are_named(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name} is .*; expected "):
        Sampling(**{name: value})


def test_temperature_0_names_the_cure() -> None:
    for name, cure in (
        ("temperature", "do_sample"),
        ("subtalker_temperature", "subtalker_dosample"),
    ):
        with pytest.raises(InputError, match=f"set {cure} to false"):
            Sampling(**{name: 0})
