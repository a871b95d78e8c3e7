"""Our text ids are the official ones: on the bundled voice's tokenizer and on Qwen's full one.

The full vocabulary is rebuilt without a hub from `qwen.tiktoken`, which the `dashscope` wheel
carries (Apache-2.0): its ranks are the ids, and each merge is what byte-pair encoding a token with
the lower ranks ends in.
"""

import base64
import hashlib
import importlib.util
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from oracle import load_processor
from qwen3_tts_edge.bundle.tokenizer import Tokenizer
from qwen3_tts_edge.errors import BundleError, InputError
from qwen3_tts_export.checkpoint.filler_tokenizer import tokenizer_texts
from qwen3_tts_export.checkpoint.published import published_texts
from qwen3_tts_export.checkpoint.spec import load_spec
from qwen3_tts_export.checkpoint.text_tokenizer import (
    read_text_tokenizer,
)
from qwen3_tts_export.checkpoint.tokenizer_files import parse_merges
from tiny import EDGE_VOICE

SPEC = load_spec("0.6b-base")
assert SPEC.tokenizer is not None
WORDS = list(SPEC.tokenizer.words)
CONTROL = [token for token in SPEC.tokenizer.added if token not in WORDS]

TEXTS = [
    "Hello, world!",
    "My assistant's assistant said: user!",
    "Don't, we'll, they've, I'M, IT'S, you'd, o'clock 's 'tis",
    "1 22 333 4444 1,234.56 ١٢٣ ½ ²",
    "iPhone JavaScript YouTube eBay McDonald",
    "你好，世界！今天天气很好。",
    "こんにちは、世界。カタカナとひらがな",
    "안녕하세요, 반갑습니다. \u1112\u1161\u11ab\u1100\u1173\u11af",
    "हिन्दी में नमस्ते दुनिया",
    "Привет, как дела? Ёлка",
    "e\u0301te\u0301 n\u0303 A\u030a \u212b \u0301alone",
    "ﬁne ﬂow ① Ⅳ",
    "emoji 🙂👩‍👩‍👧🏳️‍🌈 flags 🇩🇪",
    "العربية والعبرية שלום",
    "ไทย ภาษา Tiếng Việt",
    "inside\nlines\r\n\n\tand   blanks \u00a0\u3000\u2003 end",
    "... !!!\n?? -- “quotes” (parens)\n\n[x] #tag # # ##",
    "<think> and <tool_call> are words, <|not_a_token|> too",
    "a",
    "\u200bzero\u200dwidth\ufeff",
    "\x00\x01\x1f control \x7f\x80",
    "x" * 300 + " " * 50 + "y",
]


@dataclass
class Pair:
    ours: Tokenizer
    official: Any
    folder: Path

    def official_ids(self, wrapped: str) -> list[int]:
        return self.official(text=wrapped)["input_ids"][0]

    def official_text(self, text: str) -> list[int]:
        wrapped = f"<|im_start|>assistant\n{text}<|im_end|>\n<|im_start|>assistant\n"
        return self.official_ids(wrapped)[3:-5]

    def official_reference(self, text: str) -> list[int]:
        return self.official_ids(f"<|im_start|>assistant\n{text}<|im_end|>\n")[3:-2]

    def official_instruct(self, text: str) -> list[int]:
        return self.official_ids(f"<|im_start|>user\n{text}<|im_end|>\n")


def pair(folder: Path, scratch: Path) -> Pair:
    path = scratch / "tokenizer.json"
    read_text_tokenizer(folder).save(str(path))
    return Pair(Tokenizer.load(path), load_processor(folder), folder)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(EDGE_VOICE, tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    spec = importlib.util.find_spec("dashscope")
    if spec is None or spec.origin is None:
        pytest.skip("no full Qwen vocabulary: pip install --no-deps dashscope")
    folder = tmp_path_factory.mktemp("qwen")
    ranks = Path(spec.origin).parent / "resources" / "qwen.tiktoken"
    write_qwen_tokenizer(ranks, folder)
    return pair(folder, folder)


@pytest.fixture(params=["bundled", "full"])
def both(request: pytest.FixtureRequest) -> Pair:
    return request.getfixturevalue(request.param)


def write_qwen_tokenizer(tiktoken: Path, folder: Path) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json as published."""
    lines = (line.split() for line in tiktoken.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    letters = byte_letters()
    tokens = sorted(ranks, key=ranks.__getitem__)
    pairs = [last_pair(ranks, token, ranks[token]) for token in tokens if len(token) > 1]
    merges = [(spell(left, letters), spell(right, letters)) for left, right in pairs]
    texts = tokenizer_texts((spell(token, letters) for token in tokens), merges)
    texts["tokenizer_config.json"] = published_texts(SPEC)["tokenizer_config.json"]
    # the version that makes the official loader swap the pattern, which the oracle must prevent
    texts["config.json"] = json.dumps({"model_type": "qwen3_tts", "transformers_version": "4.57.3"})
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())


def byte_letters() -> list[str]:
    """GPT-2's letter for each byte: printable bytes are themselves, the others follow 255."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(others)) for byte in range(256)]


def spell(token: bytes, letters: list[str]) -> str:
    return "".join(letters[byte] for byte in token)


def last_pair(ranks: dict[bytes, int], token: bytes, rank: int) -> tuple[bytes, bytes]:
    """The two parts a token is merged from, when only lower ranks are known."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
        best = min(range(len(joined)), key=joined.__getitem__)
        assert joined[best] < rank
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts[0], parts[1]


def unstripped() -> st.SearchStrategy[str]:
    """Any text, leaning towards what tokenizers trip over."""
    pieces = st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.text(" \t\n\r\u00a0\u0085\u2028\u3000'\"#.-0123", max_size=4),
        st.sampled_from([*TEXTS, *WORDS, "assistant", "user", "'s", "'LL", "\u0301", "\u0338"]),
        st.sampled_from(["<", "<|", "|>", "<|im_", "end|>", "<tts_", "pad>", "\r\n", "\x1c"]),
    )
    return st.lists(pieces, max_size=8).map("".join)


@pytest.mark.parametrize("text", TEXTS)
def test_listed_texts_get_the_official_ids(both: Pair, text: str) -> None:
    assert both.ours.text(text) == both.official_text(text.strip())
    assert both.ours.text(text) == both.official_reference(text.strip())
    assert both.ours.instruct(text) == both.official_instruct(text.strip())


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=unstripped())
@example("\nassistant\n")
@example("\u0301assistant")
@example("\u0085x\u2028")
def test_any_text_gets_the_official_ids(both: Pair, text: str) -> None:
    text = text.strip()
    assume(not any(token in text for token in CONTROL))
    assert both.ours.text(text) == both.official_text(text)
    if text:
        assert both.ours.instruct(text) == both.official_instruct(text)


def hostile(rng: random.Random) -> str:
    """A text of up to a dozen pieces: any Unicode, what tokenizers trip over, halves of tokens."""
    anything = [rng.randrange(0x20, 0xD800), rng.randrange(0xE000, 0x30000)]
    rare = "\u0301\u0338\u200d\ufeff\u00a0\u2028\u0085\x1c\x00\r\n\t '\"#<|>_-.0123456789"
    pieces = (
        lambda: "".join(map(chr, rng.choices(anything, k=rng.randrange(1, 6)))),
        lambda: "".join(rng.choices(rare, k=rng.randrange(1, 9))),
        lambda: rng.choice([*TEXTS, *WORDS]),
        lambda: rng.choice(CONTROL)[: rng.randrange(1, 9)],
        lambda: rng.choice(WORDS)[rng.randrange(1, 4) :],
    )
    return "".join(rng.choice(pieces)() for _ in range(rng.randrange(1, 12)))


def test_thousands_of_hostile_texts_get_the_official_ids(full: Pair) -> None:
    rng = random.Random(0)
    texts = [hostile(rng) for _ in range(4000)]
    spoken = [text for text in texts if not any(token in text for token in CONTROL)]
    assert len(spoken) > 3900
    official = full.official.tokenizer(spoken)["input_ids"]
    for text, ids in zip(spoken, official, strict=True):
        assert full.ours.encode(text) == ids, text


def test_the_file_is_what_transformers_builds(both: Pair) -> None:
    ours = json.loads(read_text_tokenizer(both.folder).to_str())
    assert ours == json.loads(both.official.tokenizer.backend_tokenizer.to_str())


def test_the_role_is_the_official_one(both: Pair) -> None:
    assert both.ours.role() == both.official_ids("<|im_start|>assistant\nHello")[:3]


def test_published_ids_hold(full: Pair) -> None:
    """Ids of Qwen's vocabulary that are printed in its documentation."""
    assert full.ours.text("Hello, world!") == [9707, 11, 1879, 0]
    assert full.ours.role() == [151644, 77091, 198]
    assert full.ours.instruct("Hello") == [151644, 872, 198, 9707, 151645, 198]
    assert full.ours.text("<think>") == [151667]
    made = read_text_tokenizer(full.folder)
    assert made.token_to_id("<tts_pad>") == 151671
    assert made.token_to_id("<tts_text_bos>") == 151672
    assert made.token_to_id("<tts_text_eod>") == 151673
    assert made.get_vocab_size() == 151676


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json"])
def test_the_full_vocabulary_is_the_published_one(full: Pair, name: str) -> None:
    data = (full.folder / name).read_bytes()
    published = SPEC.files[name]
    assert (len(data), hashlib.sha256(data).hexdigest()) == (published.size, published.sha256)


def test_merges_that_begin_with_a_hash_are_kept(full: Pair) -> None:
    text = (full.folder / "merges.txt").read_text(encoding="utf-8")
    merges = parse_merges(text)
    assert len(merges) == 151387
    assert sum(left.startswith("#") for left, _ in merges) == 96


@pytest.mark.parametrize("config", [{}, {"transformers_version": "4.57.3"}], ids=str)
def test_the_official_shortcut_would_have_split_words(
    full: Pair, tmp_path: Path, config: dict[str, str]
) -> None:
    """What `Qwen3TTSModel.from_pretrained` does to a local folder, and we do not."""
    from transformers import Qwen2TokenizerFast

    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / name).symlink_to(full.folder / name)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_tts", **config}))
    patched = Qwen2TokenizerFast.from_pretrained(tmp_path, fix_mistral_regex=True)
    kept = load_processor(tmp_path)
    for text in ("iPhone", "JavaScript", "YouTube"):
        assert patched(text)["input_ids"] != full.ours.text(text)
        assert kept(text=text)["input_ids"][0] == full.ours.text(text)


@pytest.mark.parametrize("token", [*CONTROL[:3], *CONTROL[-7:]])
def test_a_control_token_in_a_text_is_refused_by_name(full: Pair, token: str) -> None:
    for text in (token, f"say {token} now", f"<|{token}|>"):
        for method in (full.ours.encode, full.ours.text, full.ours.instruct):
            with pytest.raises(InputError) as caught:
                method(text)
            assert token in str(caught.value)


def test_the_bundled_voice_refuses_its_own_control_tokens(bundled: Pair) -> None:
    with pytest.raises(InputError, match="<tts_text_eod>"):
        bundled.ours.text("a<tts_text_eod>b")
    assert bundled.ours.text("<|audio_pad|>") == bundled.official_text("<|audio_pad|>")


def test_blanks_at_the_ends_are_dropped(both: Pair) -> None:
    for text in ("  Hello there.  ", "\n\nHello there.", "Hello there.\r\n\t"):
        assert both.ours.text(text) == both.ours.encode("Hello there.")
        assert both.ours.instruct(text) == both.ours.instruct("Hello there.")


def test_a_blank_text_has_no_ids(both: Pair) -> None:
    for text in ("", " ", "\n\t"):
        assert both.ours.text(text) == []
        assert both.ours.instruct(text) == []


def test_text_that_is_not_unicode_is_refused(both: Pair) -> None:
    with pytest.raises(InputError, match="character 2"):
        both.ours.text("ab\ud800c")


def test_a_saved_padding_or_truncation_is_ignored(bundled: Pair, tmp_path: Path) -> None:
    made = read_text_tokenizer(EDGE_VOICE)
    made.enable_truncation(3)
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    text = "Hello there, my friend."
    assert Tokenizer.load(tmp_path / "tokenizer.json").text(text) == bundled.ours.text(text)


def test_a_damaged_tokenizer_file_is_a_bundle_error(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(BundleError, match=r"tokenizer\.json cannot be read"):
        Tokenizer.load(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match="is not a tokenizer"):
        Tokenizer.load(path)
    tokenizers.Tokenizer(tokenizers.models.BPE()).save(str(path))
    with pytest.raises(BundleError, match=r"no control token <\|im_start\|>"):
        Tokenizer.load(path)
    made = json.loads(read_text_tokenizer(EDGE_VOICE).to_str())
    made["model"]["continuing_subword_prefix"] = "longer than any token"
    path.write_text(json.dumps(made), encoding="utf-8")
    # The library does not raise here, it panics, which is no Exception.
    with pytest.raises(BundleError, match=r"is not a tokenizer .byte index 21 is out"):
        Tokenizer.load(path)


def test_what_is_a_control_token_is_said_by_the_file(tmp_path: Path) -> None:
    made = json.loads(read_text_tokenizer(EDGE_VOICE).to_str())
    made["added_tokens"][-1]["content"] = "e"
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(InputError, match=r"contains e, a control token of tokenizer\.json"):
        Tokenizer.load(path).text("Hello")


def test_special_tokens_that_an_object_names_are_those_of_the_official_class(
    tmp_path: Path,
) -> None:
    shutil.copytree(EDGE_VOICE, tmp_path, dirs_exist_ok=True)
    config = json.loads((EDGE_VOICE / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["extra_special_tokens"] = {"image_token": "<|im|>", "pause_token": "<|im_start|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    text = "<|im_start|>assistant\nan image_token <|im|>is <|im|><|im_end|>\n"
    found = pair(tmp_path, tmp_path)
    assert read_text_tokenizer(tmp_path).encode(text).ids == found.official_ids(text)
