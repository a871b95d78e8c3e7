"""Where a sentence is cut that one utterance cannot hold."""

import subprocess
import sys

import pytest

from hard_texts import cut, spoken, texts
from qwen3_tts_edge.text.pieces import Piece
from qwen3_tts_edge.text.sentences import Splitter
from qwen3_tts_edge.text.words import End, words


def test_what_does_not_fit_is_cut_at_clauses_then_words_then_characters() -> None:
    sentence = "We paid 1,234 for it, and never; not once: regretted it for long."
    assert cut(sentence, 3.0) == [
        Piece("We paid 1,234 for it,", 0.0),
        Piece("and never; not once:", 0.0),
        Piece("regretted it for long.", 0.0),
    ]
    assert texts(cut("so many words without a comma", 1.0)) == [
        "so many words",
        "without",
        "a comma",
    ]
    assert texts(cut("他今天说：“我们走吧。”", 2.0)) == ["他今天说：", "“我们走吧。”"]
    assert texts(cut("今天天气很好我们去公园散步吧。", 1.5)) == [
        "今天天气",
        "很好我们",
        "去公园散步吧。",
    ]


CUTS = {
    "english": [
        "They paid no less than | 1 000 000 dollars | for the house that stood on the hill.",
        "He had more than | 10 000 000 dollars | on the bank.",
        "We were all told that it ends | on May 5, 2024 at the | very latest.",
        "A story that everybody knows was written | by J. R. R. Tolkien | a long time ago.",
        "I think that yesterday evening | we saw Dr. Smith with his wife | in the theatre.",
        "The answer to all of your questions | is on p. 12 of the second volume.",
        "They went slowly down the road in the dark | and nobody ever saw them again.",
        "Only a few of the people who came here, | I was told, wanted to stay for long.",
        "More of it is to be found | at https://example.com | today.",
        "It is told that the new and very old long | fast train covers 1.5 million km | and stops.",
    ],
    "german": [
        "Der Zug nach Hamburg fährt morgen | gegen 12 Uhr vom großen | Bahnhof ab.",
        "Das Haus auf dem Hügel kostete | damals etwa 10 000 Euro | und ein paar Mark.",
        "Es gilt die neue | Geschwindigkeitsbegrenzung auf allen | Straßen.",
    ],
    "french": [
        "Le prix de cette maison a augmenté | de 20 % pendant les trois dernières | années.",
        "Et puis il demanda tout doucement | « Bonjour ? » à la vieille dame | qui passait.",
        "On dit que demain aussi toujours | ce projet coûtera | 3,5 milliards d'euros | à Lyon.",
    ],
    "spanish": [
        "La semana pasada vimos en el teatro | a la Sra. García con todos | sus hijos.",
        "El tren que va a la capital | recorre 300 km en menos de dos horas | y media.",
        "—¿Y cuándo vienes? | —preguntó la tía desde su cocina.",
    ],
    "italian": [
        "Ieri sera abbiamo incontrato in piazza | il sig. Rossi con la sua famiglia.",
        "Il cammino fino alla cima della montagna | dura 3 ore e mezza per tutti.",
    ],
    "portuguese": [
        "O caminho até à aldeia tem cerca | de 12 km e passa por uma ponte | antiga.",
        "Diz-se que talvez hoje sempre | a escola nova custou ao todo | 30 mil euros e abre logo.",
    ],
    "russian": [
        "Этот старый дом стоит на берегу реки | в 14 км от города и давно пуст.",
        "Вчера вечером мы видели в театре | А. С. Пушкина с его молодой | женой.",
        "Новая школа в деревне стоила | примерно 1,5 млн рублей и скоро | откроется.",
        "Новая школа в деревне | стоила 3 тысячи рублей и скоро | откроется.",
    ],
    "chinese": [
        "我们昨天和朋友们|一起骑自行车走了|大约12.5公里的山路|最后终于到了那里",
        "这个模型是我们实验室的同学们|使用TensorFlow训练出来的|结果非常好",
        "研究人员发现这种新型材料可以|在极端温度条件下保持良好的|导电性能和机械强度",
        "根据合同法第五十二条的规定|有下列情形之一的合同无效",
        "二零二四年五月十二日|上午九点三十分在上海市浦东|新区张江高科技园区举行",
        "他在商店里买了一个《龙猫》的|の字发夹送给了自己最好的朋友",
        "這座城市的新圖書館|每年接待大約150萬人次的|讀者",
        "研究人員發現這種新型材料可以|在極端溫度條件下保持良好的|導電性能和機械強度",
        "这座城市今年的总产值达到了|3.5亿元人民币左右",
    ],
    "japanese": [
        "昨日は友だちといっしょに新しい|映画館で長い映画を見たあとで|食事をした",
        "駅から会社までの道のりは|だいたい3.5キロで|毎日歩いて通っています",
        "きのうのよるはとても|さむかったのでみんなで|おなべを|かこんであたたまりました",
        "日本国憲法第九条の規定に|基づき国際平和を誠実に|希求することを約束する",
        "新しい図書館には|毎年およそ150万人が|訪れているという",
        "新しいiPhoneを使って|撮った写真はとてもきれいだった",
        "会議は来週の火曜日午後|3時30分から|本社ビル5階の第2会議室で|行いますので資料を|30部印刷する",
    ],
    "korean": [
        "우리가 사는 마을에서 바다까지는 | 대략 12 km 정도 떨어져 | 있다고 한다",
        "이 도시에는 지금 대략 | 150만 명이 살고 있다고 한다",
        "정말 맛있었습니다... | 다음에 또 올게요...",
    ],
}
"""Sentences with a bar where pieces of three seconds end."""


@pytest.mark.parametrize("language", CUTS)
def test_a_sentence_is_cut_where_a_speaker_breathes(language: str) -> None:
    for case in CUTS[language]:
        pieces = texts(cut(case.replace(" | ", " ").replace("|", ""), 3.0))
        assert pieces == [each.strip() for each in case.split("|")]


@pytest.mark.parametrize(
    "number",
    [
        "1.5 million km",
        "3 hundred thousand people",
        "2,3 Millionen Euro",
        "4,5 Mrd. Euro",
        "3,5 milliards d'euros",
        "30 mil euros",
        "3 millones de euros",
        "2,5 milhões de reais",
        "2 milioni di euro",
        "300 mila abitanti",
        "1,5 млн рублей",
        "3 тысячи рублей",
        "150만 명",
        "1.5억 원",
        "150 万 人",
    ],
)
def test_a_number_stays_with_what_it_counts(number: str) -> None:
    found = [end for _, end in words(f"{number} here", 0, 8.0, whole=True)]
    assert found[:-2] == [End.TIED] * number.count(" ")
    assert found[-2] > End.TIED


def test_a_number_that_no_piece_can_hold_is_cut_behind_its_signs() -> None:
    assert texts(cut("call 0351-123-4567-8910 today", 3.0)) == [
        "call",
        "0351-123-",
        "4567-8910",
        "today",
    ]


def test_what_closes_stays_with_what_it_closes_and_what_opens_with_what_it_opens() -> None:
    lines = [
        "“你怎么知道‘他’会来？”小红问道，“难道是李老师（就是那个戴眼镜的）告诉你的吗？”",
        "「『もう来ないで』って言われた！」と彼女は「小さな声」でつぶやいた。",
        "or call 1-800-FLOWERS (1-800-356-9377) and then [i[0]] or {x: (y)}",
    ]
    for line in lines:
        for seconds in (1.5, 2.0, 2.5, 3.0, 4.0):
            pieces = texts(cut(line, seconds))
            assert not [each for each in pieces if each[0] in "”’」』）)]}"]
            assert not [each for each in pieces if each[-1] in "“‘「『（([{"]


def test_what_knows_words_without_blanks_is_opened_where_a_clause_must_be_cut() -> None:
    clauses = "我们昨天和朋友们一起骑自行车走了大约十公里的山路，" * 9
    code = f"""
import sys
from qwen3_tts_edge.text.pieces import split
from qwen3_tts_edge.text.sentences import Splitter
for seconds in (8.0, 4.0):
    print(bool(list(split(Splitter(seconds), {clauses!r}))), "budoux" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True False", "True True"]


def test_words_in_capitals_are_not_taken_to_be_spelled() -> None:
    sentence = "Do not ever walk on the grass between the old house and the river."
    for seconds in (3.0, 5.5, 8.0):
        assert len(cut(sentence.upper(), seconds)) == len(cut(sentence, seconds))


def test_marks_that_are_piled_on_letters_do_not_make_a_piece_too_long_to_read() -> None:
    """They take no time to say, and a place in the prompt each, at least."""
    piled = "".join(letter + "\u0301\u0323" * 7 for letter in "he comes and takes all of it")
    for text in (piled, "a" + "\u0301" * 2000 + "b"):
        pieces = texts(cut(f"Good morning. {text}", 8.0))
        assert max(len(each.encode()) for each in pieces) <= 8.0 / 0.02
        assert spoken("".join(pieces)) == spoken(f"Good morning. {text}")


def test_no_character_of_a_reader_is_torn() -> None:
    for character in ("e\u0301", "क्ष"):
        assert texts(cut(character * 3, 0.01)) == [character] * 3
    for character in ("👩🏽\u200d👩🏽\u200d👧", "🇩🇪", "1\ufe0f\u20e3"):
        held = {cut("a" + character * 9, seconds)[0].text for seconds in (1.0, 2.0, 3.0, 4.0, 5.0)}
        assert len(held) > 1
        assert held <= {"a" + character * number for number in range(10)}


def test_a_long_word_does_not_wait_for_its_end() -> None:
    splitter = Splitter(8.0)
    given = sum(len(part.text) for part in splitter.feed("天气" * 50))
    assert given > 40
