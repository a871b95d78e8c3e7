"""Where a text is cut into utterances: sentences of ten languages, and what no cut may lose."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_tts_edge.errors import InputError
from qwen3_tts_edge.pace import usual_seconds
from qwen3_tts_edge.speech.blanks import Reading, one_line
from qwen3_tts_edge.speech.filling import Part
from qwen3_tts_edge.speech.lines import PARAGRAPH_PAUSE, SECTION_PAUSE, SENTENCE_PAUSE, Lines
from qwen3_tts_edge.speech.pieces import Piece, split
from qwen3_tts_edge.speech.sentences import Splitter, Whole, check_text
from qwen3_tts_edge.speech.stops import sentence_ends

NO_LIMIT = 1e9

CASES = {
    "english": [
        "Hello there. | How are you? | I am fine!",
        "Dr. Smith met Mr. and Mrs. Jones. | They talked.",
        "It costs 3.5 dollars. | That is cheap.",
        "Bring fruit, e.g. Apples or pears. | Then leave.",
        "The U.S. Senate voted. | Nobody cared.",
        "He lives in the U.S. | The weather is nice.",
        "J. R. R. Tolkien wrote it. | C. S. Lewis did not.",
        "See https://example.com/a.b?c=D.E for more. | Or write to me.",
        "Mail john.doe@example.com today. | Thanks.",
        "Version v1.2.3 is out. | Node.js and ASP.NET too.",
        "Well... maybe not. | Fine.",
        "What?! | No way!!! | Really?",
        "The train leaves at 9.15 today. | Be there.",
        "1. First do this. | 2. Then do that.",
        '"Why?" he asked. | "Because," she said.',
        "She said “Stop.” | Then she left.",
        "(It was late.) | We went home.",
        "See Fig. 3 and No. 7 in vol. 2, p. 12. | Done.",
        "No. | I will not go.",
        "He came at 5 p.m. | Mary left at 6 a.m. on Monday.",
        "Apples, pears, etc. | Mary likes them all, etc. and more.",
        "Prof. Gray lives on St. James St. in Mt. Pleasant.",
        "hello there. | how are you? | i am fine, e.g. today.",
        "John Smith Jr. came. | Acme Inc. paid.",
        "On Jan. 5 we met. | It was cold.",
        "I have 3. | The rest is yours.",
        "It was 1999. | Paris was hot.",
        "Great! 😊 | Thanks a lot.",
        "She has a Ph.D. in physics. | He has none.",
        "Wait — what? | Yes — that.",
        "As he wrote.[12] | Others agree.",
        "We met Gen. Lee vs. Them all. | End.",
        "We chose plan B. | It worked.",
        "Yahoo! is a company. | So is Google.",
        "He lives on Elm St. | The house is big.",
        "*Bold.* | Next _it._ | **Then.** | Done.",
        "The end. . . . | Or not ? ! | Well . . . perhaps.",
        "We saw Mr. Fox. | Bob met the U.S. man. | Anna did not.",
        "Mail joe@gmx.de. | Go to x.com. | Visit rte.ie. | Thanks.",
        "I. Introduction. | II. Methods, by Adm. Jones et al. 2020. | Done.",
        "He is 6 ft. 2 in. tall. | Bob, a.k.a. The Boss, is not.",
        "He left at 5 p.m. | He was tired.",
        "She has an M.Sc. in physics. | J. R. Fox. | Bob has none.",
    ],
    "chinese": [
        "今天天气很好。|我们去公园吧！|你去吗？",
        "他说：“我走了。”|然后他就走了。",
        "“你好吗？”她问。|我说很好。",
        "圆周率是3.14。|我知道！！|真的？！",
        "我……我不知道。|你呢？",
        "我用Node.js写代码。|版本是v1.2.3。",
        "（完。）|谢谢。",
        "价格是1,234.5元。|太贵了。",
        "你好!|我们走吧。",
        "访问https://example.com/a.b。|谢谢！",
        "「快走！」|大家都跑了。",
        "他来自U.S.。|很好。",
        "《你好！李焕英》很好看。|我笑了。",
        "我们走了。|“好！”|“不！”他们喊。",
        "今天（周五。）很好。|（他来了。）|他（真的！）走了。",
        "他说：“你好。”|我说：“再见！”|“我走了。”|她没说话。",
        "他说“好！”，走了。|她没走。",
        "他走了.|“好.”|你来。",
        "今天下午三点钟我们大家要一起去城外的公园里散步和划船。|（天气很好，）很多人都会带着自己的孩子到那里去玩耍的！|好。",
    ],
    "japanese": [
        "今日は天気がいいです。|公園へ行きましょう！|どうですか？",
        "「どこへ行くの？」と彼は聞いた。|私は黙っていた。",
        "「はい。」|彼女は笑った。",
        "円周率は3.14です。|本当？！|すごい！！",
        "えっと……たぶん。|そうだね。",
        "（笑）。|次の話です。",
        "『坊っちゃん』を読んだ。|面白かった。",
        "メールはa.b@example.comまで。|お待ちしています。",
        "Dr. Smithが来た。|彼は医者だ。",
        "「待って！」|「いやだ！」|二人は走った。",
        "午後9.15に出ます。|遅れないで｡|はい｡",
        "Ｕ．Ｓ．Ａ．です。|３．１４です。|はい．|ええ。",
    ],
    "korean": [
        "오늘은 날씨가 좋네요. | 같이 공원에 갈까요? | 좋아요!",
        "원주율은 3.14입니다. | 알겠습니다.",
        '"어디 가세요?" 그가 물었다. | 나는 웃었다.',
        "2024. 3. 5. 오후에 만나요. | 꼭 오세요.",
        "2024.3.5. 오후에 만나요. | 꼭 오세요.",
        "음... 글쎄요. | 모르겠어요.",
        "메일은 a.b@example.com입니다. | 감사합니다.",
        "J. K. 롤링이 썼다. | 재미있다.",
        "정말?! | 그럴 리가 없어!",
        "밥을 먹었다.|그리고 잤다.",
        "1. 먼저 씻는다. | 2. 다음에 먹는다.",
        "“네.” | 그녀가 웃었다.",
        '그는 "안녕."이라고 했다. | “네.”라는 말에 웃었다. | 끝.',
    ],
    "german": [
        "Guten Tag. | Wie geht es Ihnen? | Sehr gut!",
        "Am 3. Oktober feiern wir. | Das ist schön.",
        "Er kam am 3. 10. 1990 an. | Es regnete.",
        "Obst, z. B. Äpfel, ist gesund. | Das stimmt.",
        "Das ist gut, d. h. Anna kommt. | Sie freut sich.",
        "Dr. Müller und Prof. Dr. Schmidt kamen. | Sie sprachen.",
        "Im 19. Jahrhundert war das so. | Heute nicht.",
        "Der 2. Weltkrieg endete 1945. | Danach kam Frieden.",
        "Äpfel, Birnen usw. | Anna mag alles.",
        "Es kostet 3,5 Mio. Euro. | Das ist viel.",
        "Siehe S. 12, Nr. 5 bzw. Abs. 3. | Ende.",
        "„Wo bist du?“, fragte er. | „Hier.“ | Sie lachte.",
        "»Komm!« | Er ging. | »Wohin?«",
        "Er wohnt in der Hauptstr. 5 in St. Gallen. | Dort ist es ruhig.",
        "Caesar starb 44 v. Chr. in Rom. | Er war alt.",
        "Heinrich VIII. war König. | Er hatte sechs Frauen.",
        "Der Termin ist am Mo., 5. Mai. | Bitte kommen.",
        "Ich bin um 9.15 Uhr da. | Bis dann!",
        "Das sagt Hr. Abt. | Anna sagt: ‚Ja.‘ | „Oh.“ | Er ging.",
        "Herr Dr. med. Müller von der Fa. Meier kommt bzgl. Ihrer Frage. | Gut.",
        "Siehe Abb. 4 u. Tab. 5. | Seine 2. Frau kam zum 50. Geburtstag. | Gut.",
    ],
    "french": [
        "Bonjour. | Comment allez-vous ? | Très bien !",
        "M. Dupont et Mme Martin sont là. | Ils parlent.",
        "« Bonjour ! » | Il sourit.",
        "« Pourquoi ? » demanda-t-elle. | Personne ne répondit.",
        "Il est né en 50 av. J.-C. à Rome. | Il est mort.",
        "Voir p. 12, art. 5 et fig. 3. | Merci.",
        "Des fruits, p. ex. Des pommes, etc. | Marie aime tout.",
        "Le Dr. Leblanc est parti. | MM. Petit et Grand aussi.",
        "Eh bien... peut-être. | D'accord.",
        "— Tu viens ? | — Oui. | — Bien.",
        "Le prix est de 3,50 euros. | C'est peu.",
        "Quoi ?! | Non !",
        "Hélas ! ce n'est pas vrai. | Tant pis.",
        "Il est 8 h. | Bien. | Le 5 janv. 2020, M. Roy. | Paul arriva.",
        "Il habite bd. Voltaire, tél. 01 23. | Oui.",
    ],
    "russian": [
        "Привет. | Как дела? | Хорошо!",
        "А. С. Пушкин родился в Москве. | Он поэт.",
        "Это фрукты, т. е. Яблоки. | Они вкусные.",
        "В 1990 г. Иванов уехал. | Потом вернулся.",
        "Он родился в 1990 г. | Потом уехал.",
        "Он живёт в г. Москва на ул. Ленина, д. 5, кв. 7. | Там тихо.",
        "Яблоки, груши и т. д. | Мария любит всё.",
        "— Почему? — спросил он. | — Потому.",
        "Проф. Иванов пришёл. | Все встали.",
        "«Стой!» — крикнул он. | Никто не ответил.",
        "Это стоит 5 тыс. рублей. | Дорого.",
        "См. рис. 3 и стр. 12. | Всё.",
        "Ну... не знаю. | Ладно.",
        "Это я. | Мария пришла.",
        "Это стоит 5 руб. 30 коп. сегодня. | Дорого.",
        "Это фрукты, напр. Яблоки, с наб. Мойки, тел. 5. | Да.",
        "Он живёт в Московской обл. и в г. Клин. | Да.",
        "Приходите (тел. +7 495 123) к нам. | Ждём.",
    ],
    "portuguese": [
        "Olá. | Como vai? | Tudo bem!",
        "O Sr. Silva e a Sra. Souza chegaram. | Eles falam.",
        "A Dra. Ana mora na Av. Paulista. | É longe.",
        "Frutas, p. ex. Maçãs, são boas. | Gosto delas.",
        "Veja a pág. 5 e o art. 7. | Obrigado.",
        "No séc. XX foi assim. | Hoje não.",
        "A Petrobras S.A. pagou. | Todos gostaram.",
        "Ele disse: “Pare.” | Depois saiu.",
        "D. Pedro II. reinou muito. | Ele morreu.",
        "Custa R$ 3.500,50 hoje. | É caro.",
        "Bem... talvez. | Certo.",
        "O Prof. Lima saiu às 9h. | Voltou tarde.",
        "Quê?! | Não acredito!",
    ],
    "spanish": [
        "Hola. | ¿Cómo estás? | ¡Muy bien!",
        "El Sr. García y la Sra. López llegaron. | Ellos hablan.",
        "Vive en EE. UU. desde 1990. | Es feliz.",
        "Frutas, p. ej. Manzanas, etc. | María las come.",
        "Véase la pág. 5, núm. 3. | Gracias.",
        "¡Hola! | ¿Qué tal? | ¡Adiós!",
        "D. Juan y Dña. Inés se casaron. | Fin.",
        "—¿Vienes? —preguntó ella. | —Sí.",
        "«Ven.» | Ella se fue.",
        "Murió en 44 a. C. en Roma. | Era viejo.",
        "¿¡Qué!? | ¡No puede ser!",
        "Cuesta 3.500 euros. | Es caro.",
        "El no. 5 ganó. | No. | Bravo.",
        "Vive en Sto. Domingo con Excma. Ana. | Sí.",
        "Bueno... quizás. | Vale.",
    ],
    "italian": [
        "Ciao. | Come stai? | Bene!",
        "Il sig. Rossi e il dott. Bianchi parlano. | Poi escono.",
        "Frutta, p. es. Mele, ecc. | Maria mangia tutto.",
        "Vedi pag. 5, fig. 3, art. 7. | Grazie.",
        "Nacque nel 44 a.C. a Roma. | Morì giovane.",
        "L'avv. Neri è qui. | L'ing. Verdi no.",
        "«Perché?» chiese lei. | Nessuno rispose.",
        "Costa 3,50 euro. | È poco.",
        "Il prof. Bruni abita qui. | Io no.",
        "Beh... forse. | Va bene.",
        "G. Verdi compose l'opera. | È bella.",
        "Cosa?! | Non ci credo!",
        "Alle 9.15 parte il treno. | Corri!",
        "Spett. Ditta, i sigg. Neri e il geom. Rossi vengono. | Sì.",
    ],
}
"""Sentences with a bar between them; without the bars, a paragraph."""


_SIGNS = list(".!?…。！？,;:，、—–-'\"“”«»「」()[]¿¡ \t\n\r\v\u00a0\u2009\u2028\u2029\u3000\x85")
_LETTERS = list("aAzZ09éßñ天気はカ가힣ПпЯكي👩🏽🇩🇪❤😀\u0301\u0915\u094d\u1160\u200c\u200d\ufe0f")
_UNSEEN = list("\u00ad\u200b\u2060\ufeff\u202e\u2066\x00\x1f")
_WORDS = [
    "\n\n",
    ". ",
    "! ",
    "e.g. ",
    "Dr. ",
    "3. ",
    "2024. ",
    "z. B. ",
    "1,234",
    "The ",
    "i. ",
    "word ",
    "\n- ",
    "\n2. ",
    "\n1) ",
    "\n(a) ",
    "\nII. ",
    "\nb. ",
    "\n# ",
    "\n**",
    "**\n",
    "\n| ",
    "\n```",
    "\n①",
    "\n1\ufe0f\u20e3",
    "\n二、",
]
_WORDS += ["Mr. ", "U.S. ", "J. ", "p.m. ", "No. ", "etc. ", "usw. ", "am ", "Mai ", "av. ", "M. "]
_WORDS += [
    "Sra. ",
    "pág. ",
    "EE. UU. ",
    "sig. ",
    "ecc. ",
    "т. е. ",
    "г. ",
    "т. д. ",
    "라고",
    "물었다",
    "って",
]
_WORDS += [
    "10. ",
    "3.5",
    "9:15 ",
    "5 km ",
    "§ 20 ",
    " % ",
    "[12]",
    "---",
    "https://a.b/c?d=e ",
    "a@b.de",
]
_TROUBLE = [*_SIGNS, *_LETTERS, *_UNSEEN, *_WORDS]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(_TROUBLE), max_size=60).map("".join))
_LONG_WORDS = [
    "kettle ",
    "tea, ",
    "B",
    "天气",
    "क",
    "\u200d",
    "Dr. ",
    "z. B. ",
    "“a” ",
    "…",
    "—",
    "1,2 ",
]
LONG = st.lists(st.sampled_from(_LONG_WORDS), min_size=50, max_size=200).map("".join)
SECONDS = st.sampled_from([1.0, 2.5, 8.0, NO_LIMIT])
SENTENCES = st.sampled_from([None, 1, 2])

ARTICLE = "\n\n".join(
    " ".join(each.replace(" | ", " ").replace("|", "") for each in cases)
    for cases in list(CASES.values()) * 3
)


def cut(text: str, seconds: float, sentences: int | None = None) -> list[Piece]:
    return list(split(Splitter(seconds, sentences), text))


def in_pieces(splitter: Splitter, pieces: list[str]) -> list[Part]:
    return [*(part for piece in pieces for part in splitter.feed(piece)), *splitter.finish()]


def joined(parts: list[Part]) -> list[Piece]:
    pieces, begun = [], ""
    for part in parts:
        begun += part.text
        if part.ends:
            pieces.append(Piece(begun, part.pause))
            begun = ""
        elif part.pause:
            assert begun == ""
            assert part.pause > pieces[-1].pause
            pieces[-1] = Piece(pieces[-1].text, part.pause)
    assert begun.strip() == ""
    return pieces


def black(text: str) -> str:
    return "".join(text.split())


def spoken(text: str) -> str:
    """Its letters and digits that can be seen."""
    return "".join(filter(str.isalnum, one_line(text)))


def without_silent_lines(text: str) -> str:
    return one_line("\n".join(filter(spoken, seen(text).split("\n"))))


def seen(text: str) -> str:
    reading = Reading()
    return "".join(reading.feed(text)) + reading.finish()


def texts(pieces: list[Piece]) -> list[str]:
    return [each.text for each in pieces]


@pytest.mark.parametrize("language", CASES)
def test_a_sentence_ends_where_a_reader_ends_it(language: str) -> None:
    wrong = {}
    for case in CASES[language]:
        expected = [each.strip() for each in case.split("|")]
        found = texts(cut(case.replace(" | ", " ").replace("|", ""), NO_LIMIT, 1))
        if found != expected:
            wrong[case] = found
    assert wrong == {}


def test_and_where_languages_are_mixed() -> None:
    text = "他说Hello. 然后走了。She said 你好。And left. Dr. 王来了！"
    assert texts(cut(text, NO_LIMIT, 1)) == [
        "他说Hello.",
        "然后走了。",
        "She said 你好。",
        "And left.",
        "Dr. 王来了！",
    ]


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("Good morning.  Your timer\r\nis\u00a0set\tfor\u3000twenty\u2009minutes.\n", None),
        ("\ufeffGood morning. Your timer is set for\u200b twen\u00adty min\x00u\u2060tes.", None),
        ("\u202eGood morning.\u202c Your \u200d\ufe0ftimer is set for twe\u200cnty minutes.", None),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
        (
            "👩🏽\u200d👩🏽\u200d👧 ❤\ufe0f 1\ufe0f\u20e3",
            "👩🏽\u200d👩🏽\u200d👧 ❤\ufe0f 1\ufe0f\u20e3",
        ),
        (
            "❤\ufe0f\u200d🔥 \u200d\ufe0f🏳\ufe0f\ufe0e\u200d\u200d🌈",
            "❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈",
        ),
        ("0\u200c\ufe0fa\ufe0f\u200d", "0\ufe0fa\ufe0f"),
        ("\u200b", ""),
        (" \ufeff\x00\u200d\ufe0f\u200c\u3164\u00a0\u2029 ", ""),
    ],
)
def test_what_nobody_sees_goes_and_what_joins_letters_stays(page: str, line: str | None) -> None:
    plain = "Good morning. Your timer is set for twenty minutes."
    assert one_line(page) == (plain if line is None else line)
    come = joined(in_pieces(Splitter(NO_LIMIT), [*page, "a"]))
    assert texts(come) == [one_line(f"{page}a")], "however it comes"


@given(TEXTS)
def test_a_line_is_one_line_already(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert one_line(seen(text)) == line


def test_a_blank_line_ends_a_paragraph_and_pauses_are_between_pieces() -> None:
    text = "One. Two.\r\n \u200b\r\nThree,\nfour.\u2029Five."
    assert cut(text, NO_LIMIT, 1) == [
        Piece("One.", SENTENCE_PAUSE),
        Piece("Two.", PARAGRAPH_PAUSE),
        Piece("Three, four.", PARAGRAPH_PAUSE),
        Piece("Five.", 0.0),
    ]
    assert texts(cut(text, NO_LIMIT)) == ["One. Two.", "Three, four.", "Five."]


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
        "今天天气很好我",
        "们去公园散步",
        "吧。",
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
    ],
    "german": [
        "Der Zug nach Hamburg fährt morgen | gegen 12 Uhr vom großen | Bahnhof ab.",
        "Das Haus auf dem Hügel kostete | damals etwa 10 000 Euro | und ein paar Mark.",
        "Es gilt die neue | Geschwindigkeitsbegrenzung auf allen | Straßen.",
    ],
    "french": [
        "Le prix de cette maison a augmenté | de 20 % pendant les trois dernières | années.",
        "Et puis il demanda tout doucement | « Bonjour ? » à la vieille dame | qui passait.",
    ],
    "spanish": [
        "La semana pasada vimos en el teatro | a la Sra. García con todos | sus hijos.",
        "El tren que va a la capital | recorre 300 km en menos de dos horas | y media.",
    ],
    "italian": [
        "Ieri sera abbiamo incontrato in piazza | il sig. Rossi con la sua famiglia.",
        "Il cammino fino alla cima della montagna | dura 3 ore e mezza per tutti.",
    ],
    "portuguese": [
        "O caminho até à aldeia tem cerca | de 12 km e passa por uma ponte | antiga.",
    ],
    "russian": [
        "Этот старый дом стоит на берегу реки | в 14 км от города и давно пуст.",
        "Вчера вечером мы видели в театре | А. С. Пушкина с его молодой | женой.",
    ],
    "chinese": [
        "我们昨天和朋友们一起骑自|行车走了大约12.5公里|的山路最后终于到了那里",
        "这个模型是我们实验室的同|学们使用TensorFlow训练|出来的结果非常好",
    ],
    "japanese": [
        "昨日は友だちといっしょに新しい|映画館で長い映画を見たあとで|食事をした",
        "駅から会社までの|道のりはだいたい|3.5キロで毎日歩いて|通っています",
    ],
    "korean": [
        "우리가 사는 마을에서 바다까지는 | 대략 12 km 정도 떨어져 | 있다고 한다",
    ],
}
"""Sentences with a bar where pieces of three seconds end."""


@pytest.mark.parametrize("language", CUTS)
def test_a_sentence_is_cut_where_a_speaker_breathes(language: str) -> None:
    for case in CUTS[language]:
        pieces = texts(cut(case.replace(" | ", " ").replace("|", ""), 3.0))
        assert pieces == [each.strip() for each in case.split("|")]


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


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("The end.\n\n* * *\n\nA beginning.", ["The end.", SECTION_PAUSE, "A beginning."]),
        ("The end.\n—\nA beginning.", ["The end.", SECTION_PAUSE, "A beginning."]),
        ("Title\n=====\n\nText", ["Title", SECTION_PAUSE, "Text"]),
        ("|a|b|\n|---|:-:|\n|1|2|", ["|a|b|", SECTION_PAUSE, "|1|2|"]),
        ("lol\r\n😂😂\r\nnice 😊", ["lol", SECTION_PAUSE, "nice 😊"]),
        ("And then\n\n...\n\n\n___\n\nno.", ["And then", SECTION_PAUSE, "no."]),
        ("One.\u2029?\u2029Two.", ["One.", SECTION_PAUSE, "Two."]),
        ("---\n\nOne.\n\n---", ["One."]),
        ("— Tu viens ?\n— Oui… ♥", ["— Tu viens ?", SENTENCE_PAUSE, "— Oui… ♥"]),
        ("* * *", []),
        ("\n😀\n\n…\n", []),
    ],
)
def test_signs_alone_are_a_longer_pause(text: str, pieces: list[str | float]) -> None:
    found = cut(text, NO_LIMIT, 1)
    assert [each for piece in found for each in (piece.text, piece.pause)][:-1] == pieces
    if pieces:
        check_text(text)
    else:
        with pytest.raises(InputError, match="has no letter or digit; give at least one word"):
            check_text(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("* One\n* Two", ["* One", "* Two"]),
        ("1. Eggs\n2. Milk\n10. Bread", ["1. Eggs", "2. Milk", "10. Bread"]),
        (
            "Buy:\r\n  - eggs\r\n  - milk,\r\n    of a cow\r\n- bread",
            ["Buy:", "- eggs", "- milk, of a cow", "- bread"],
        ),
        ("1、鸡蛋\n2、牛奶", ["1、鸡蛋", "2、牛奶"]),
        ("To buy\n1. Eggs\n2. Milk", ["To buy", "1. Eggs", "2. Milk"]),
        ("To buy\n1) Eggs\n2) Milk", ["To buy", "1) Eggs", "2) Milk"]),
        ("To buy\n(a) Eggs\n(b) Milk", ["To buy", "(a) Eggs", "(b) Milk"]),
        ("Which?\nA. Eggs\nB. Milk\nC. Tea", ["Which?", "A. Eggs", "B. Milk", "C. Tea"]),
        ("I. Aims\nII. Means\nV. Ends", ["I. Aims", "II. Means", "V. Ends"]),
        ("To buy\ni. Eggs\nii. Milk\niii. Tea", ["To buy", "i. Eggs", "ii. Milk", "iii. Tea"]),
        ("To buy\n• Eggs\n• Milk", ["To buy", "• Eggs", "• Milk"]),
        ("To buy\n- [ ] Eggs\n- [x] Milk", ["To buy", "- [ ] Eggs", "- [x] Milk"]),
        ("Kaufen:\n– Eier\n– Milch", ["Kaufen:", "– Eier", "– Milch"]),
        ("To do\n✅ Eggs\n❌ Milk", ["To do", "✅ Eggs", "❌ Milk"]),
        ("To buy\n1️⃣ Eggs\n2️⃣ Milk", ["To buy", "1️⃣ Eggs", "2️⃣ Milk"]),
        ("清单\n一、鸡蛋\n二、牛奶", ["清单", "一、鸡蛋", "二、牛奶"]),
        ("清单\n①鸡蛋\n②牛奶", ["清单", "①鸡蛋", "②牛奶"]),
        ("材料\n・卵 3個\n・牛乳", ["材料", "・卵 3個", "・牛乳"]),
        ("목록\n가. 사과\n나. 배", ["목록", "가. 사과", "나. 배"]),
        ("Buy\n1. Fruit\n   - pears\n2. Milk", ["Buy", "1. Fruit", "- pears", "2. Milk"]),
        ("|a|b|\n|1|2|\n|3|4|\nAnd so on.", ["|a|b|", "|1|2|", "|3|4|", "And so on."]),
    ],
)
@pytest.mark.parametrize("sentences", [None, 1])
def test_an_item_of_a_list_is_a_piece(text: str, pieces: list[str], sentences: int | None) -> None:
    found = cut(text, NO_LIMIT, sentences)
    assert texts(found) == pieces
    assert [each.pause for each in found[:-1]] == [SENTENCE_PAUSE] * (len(pieces) - 1)


@pytest.mark.parametrize(
    "text",
    [
        "We met on May\n5. Nobody saw us.",
        "It is\n2.5 m\n3rd of all",
        "Am\n3. Oktober war es.",
        "Es war am\n1. Mai.",
        "It was written by\nA. Smith in the year\n1999 or so",
        "The man was\n— as always — late",
        "#one and\n#two",
    ],
)
def test_a_line_that_a_label_happens_to_begin_is_none(text: str) -> None:
    assert texts(cut(text, NO_LIMIT)) == [text.replace("\n", " ")]


def test_a_heading_is_a_piece_between_longer_pauses() -> None:
    page = """\
# Tea
Take a pot.
## How to
**What you need**
**Water** and *tea*,
and a [cup](https://example.com/a.b#c).
```sh
brew
```
Done."""
    for sentences in (None, 1):
        assert cut(page, NO_LIMIT, sentences) == [
            Piece("# Tea", PARAGRAPH_PAUSE),
            Piece("Take a pot.", PARAGRAPH_PAUSE),
            Piece("## How to", PARAGRAPH_PAUSE),
            Piece("**What you need**", PARAGRAPH_PAUSE),
            Piece("**Water** and *tea*, and a [cup](https://example.com/a.b#c).", SENTENCE_PAUSE),
            Piece("```sh brew", SECTION_PAUSE),
            Piece("Done.", 0.0),
        ]


def test_words_in_capitals_are_not_taken_to_be_spelled() -> None:
    sentence = "Do not ever walk on the grass between the old house and the river."
    for seconds in (3.0, 5.5, 8.0):
        assert len(cut(sentence.upper(), seconds)) == len(cut(sentence, seconds))


def test_signs_stay_with_words_as_long_as_a_piece_can_hold_them() -> None:
    assert texts(cut("so many words - without - a comma", 1.3)) == [
        "so many words -",
        "without -",
        "a comma",
    ]
    full = "word " * 13 + "words"
    assert texts(cut(f"{full} - and then we went", 5.0)) == [f"{full} -", "and then we went"]
    assert cut(f"Yes {'?' * 91} No.", 2.0) == [Piece("Yes", SENTENCE_PAUSE), Piece("No.", 0.0)]
    assert cut(f"Yes {'-' * 24} no. Well", 2.0, 1) == [
        Piece("Yes", 0.0),
        Piece("no.", SENTENCE_PAUSE),
        Piece("Well", 0.0),
    ]
    assert cut(f"Yes {'?' * 90}\n\nWell", 2.0, 1) == [
        Piece("Yes", PARAGRAPH_PAUSE),
        Piece("Well", 0.0),
    ]


def test_a_word_is_not_left_over() -> None:
    assert texts(cut("word " * 14, 4.0)) == ["word " * 10 + "word", "word word word"]
    assert texts(cut("This is one of them. So is this one. Yes.", 3.0)) == [
        "This is one of them.",
        "So is this one. Yes.",
    ]


@given(TEXTS, SECONDS, SENTENCES)
def test_nothing_is_lost_doubled_or_moved(text: str, seconds: float, sentences: int | None) -> None:
    pieces = cut(text, seconds, sentences)
    all_of_it, at = black(one_line(text)), 0
    for piece in texts(pieces):
        begins = all_of_it.index(black(piece), at)
        assert not spoken(all_of_it[at:begins])
        at = begins + len(black(piece))
    assert not spoken(all_of_it[at:])
    assert all(spoken(each.text) and each.text == each.text.strip() for each in pieces)
    if not pieces:
        with pytest.raises(InputError, match="the text "):
            check_text(text)
    else:
        check_text(text)
    assert all(each.pause == 0.0 for each in pieces[-1:])


@given(TEXTS, SENTENCES)
def test_where_there_is_room_only_silent_lines_are_left_out(
    text: str, sentences: int | None
) -> None:
    pieces = cut(text, NO_LIMIT, sentences)
    assert black("".join(texts(pieces))) == black(without_silent_lines(text))


@given(TEXTS, SECONDS, SENTENCES)
def test_every_piece_fits_or_is_one_character(
    text: str, seconds: float, sentences: int | None
) -> None:
    for piece in texts(cut(text, seconds, sentences)):
        if usual_seconds(piece) > seconds:
            assert texts(cut(piece, 0.01)) == [piece]
        if sentences and seconds == NO_LIMIT:
            assert len(cut(piece, NO_LIMIT, 1)) <= sentences


@given(TEXTS, SECONDS)
def test_a_piece_is_not_split_again(text: str, seconds: float) -> None:
    for piece in texts(cut(text, seconds)):
        assert cut(piece, seconds) == [Piece(piece, 0.0)]
    for sentence in texts(cut(text, NO_LIMIT, 1)):
        assert cut(sentence, NO_LIMIT, 1) == [Piece(sentence, 0.0)]


@settings(max_examples=500)
@given(TEXTS, SECONDS, SENTENCES, st.data())
def test_bit_by_bit_the_pieces_are_those_of_the_whole(
    text: str, seconds: float, sentences: int | None, data: st.DataObject
) -> None:
    whole = [*(splitter := Splitter(seconds, sentences)).feed(text), *splitter.finish()]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=9)))
    bits = [text[at:to] for at, to in pairwise([0, *cuts, len(text)])]
    parts = in_pieces(Splitter(seconds, sentences), bits)
    assert joined(parts) == joined(whole)
    assert spoken("".join(part.text for part in parts)) == spoken(text)
    for size in (1, 2, 5):
        bits = [text[at : at + size] for at in range(0, len(text), size)]
        assert joined(in_pieces(Splitter(seconds, sentences), bits)) == joined(whole)


@pytest.mark.parametrize(
    "text",
    [
        "…(\u1160é\n2. \t。—“a…",
        "\n\u3000**x**\n１",
        "a\r\n\r\n b\r",
        " \n\u2029\ufe0f1\ufe0f\u20e3",
    ],
)
def test_nor_do_blanks_and_what_nobody_sees_change_them(text: str) -> None:
    for seconds in (1.0, NO_LIMIT):
        whole = in_pieces(Splitter(seconds), [text])
        assert joined(in_pieces(Splitter(seconds), list(text))) == joined(whole)


@given(LONG, SECONDS, SENTENCES, st.integers(1, 30))
def test_and_of_a_sentence_whose_beginning_is_forgotten(
    text: str, seconds: float, sentences: int | None, size: int
) -> None:
    whole = [*(splitter := Splitter(seconds, sentences)).feed(text), *splitter.finish()]
    bits = [text[at : at + size] for at in range(0, len(text), size)]
    assert joined(in_pieces(Splitter(seconds, sentences), bits)) == joined(whole)


def test_a_text_is_cut_when_its_pieces_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []
    feed = Splitter.feed
    monkeypatch.setattr(Splitter, "feed", lambda self, text: fed.append(text) or feed(self, text))
    text = "The kettle is on. " * 5000
    pieces = split(Splitter(8.0, 1), text)
    assert next(pieces) == Piece("The kettle is on.", SENTENCE_PAUSE)
    assert sum(map(len, fed)) < 2000
    assert 1 + sum(1 for _ in pieces) == 5000
    assert "".join(fed) == text


@given(TEXTS, SECONDS, SENTENCES)
def test_every_part_of_a_piece_is_given_before_its_end_and_nothing_after(
    text: str, seconds: float, sentences: int | None
) -> None:
    parts = in_pieces(Splitter(seconds, sentences), list(text))
    assert all(part.pause == 0.0 for part in parts if part.text)
    assert all(part.text or part.ends or part.pause for part in parts)
    assert not parts or not parts[-1].text


def test_what_is_certain_is_given_at_once() -> None:
    splitter = Splitter(8.0, 1)
    first = splitter.feed(f"Good morning to all of you. Welcome, {'dear ' * 8}fri")
    assert "".join(part.text for part in first).startswith("Good morning to all of you. Welcome")
    assert [part.pause for part in first if part.ends] == [SENTENCE_PAUSE]
    assert splitter.feed("ends of ")[0].text
    assert splitter.feed("ours\n\n")[-2:] == [
        Part("", ends=True, pause=SENTENCE_PAUSE),
        Part("", pause=PARAGRAPH_PAUSE),
    ]
    assert splitter.feed("* * *\n") == [Part("", pause=SECTION_PAUSE)]
    assert splitter.finish() == []


def longest_read(part: str) -> int:
    """The most characters that a word is read with, in a text of one part again and again."""
    text = "a" + part * (600 // len(part) + 1)
    lengths = []
    border = Lines.border
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Lines, "border", lambda self, raw: lengths.append(len(raw)) or border(self, raw)
        )
        in_pieces(Splitter(NO_LIMIT, 1), [text[at : at + 5] for at in range(0, len(text), 5)])
    assert len(lengths) <= 3 * len(text)
    return max(lengths)


def test_what_came_is_not_read_again() -> None:
    parts = [*_TROUBLE, *_LONG_WORDS, "on and on ", "3.5 and Dr. No, ", "क\u200d", "—" * 99 + "a"]
    longest = {part: longest_read(part) for part in parts}
    assert {part: length for part, length in longest.items() if length > 250} == {}


@settings(max_examples=50)
@given(st.lists(st.sampled_from(_TROUBLE), min_size=2, max_size=8).map("".join))
def test_nor_is_any_other(part: str) -> None:
    assert longest_read(part) <= 250


def test_a_sentence_whose_beginning_is_forgotten_is_whole() -> None:
    for part in ("on and on ", "天气", "3.5 and Dr. No, ", "NASA "):
        parts = in_pieces(Splitter(NO_LIMIT, 1), [*"Well, ", *[part] * 500, "so. Next"])
        assert texts(joined(parts)) == [f"Well, {part * 500}so. ", "Next"]


def test_of_signs_in_a_row_thirty_at_most_are_said() -> None:
    for bits in (["Tea ", "." * 300, " 5"], [*"Tea ", *["."] * 300, *" 5"]):
        assert texts(joined(in_pieces(Splitter(NO_LIMIT), bits))) == [f"Tea {'.' * 29} 5"]


def test_a_long_word_does_not_wait_for_its_end() -> None:
    splitter = Splitter(8.0)
    given = sum(len(part.text) for part in splitter.feed("天气" * 50))
    assert given > 40


def test_a_text_taken_whole_is_one_piece_as_it_stands() -> None:
    text = "One.  Two.\n\nThree."
    assert list(split(Whole(), text)) == [Piece(text, 0.0)]
    assert "".join(part.text for bit in text for part in Whole().feed(bit)) == text


@given(TEXTS)
def test_a_sentence_says_something_where_its_paragraph_does(text: str) -> None:
    line = one_line(text)
    if spoken(line):
        ends = sentence_ends(line)
        assert all(spoken(line[at:to]) for at, to in pairwise([0, *ends]))


@pytest.mark.parametrize("seconds", [5.0, 30.0])
@pytest.mark.parametrize("sentences", [None, 1])
def test_all_of_an_article_is_spoken(seconds: float, sentences: int | None) -> None:
    assert len(ARTICLE) > 10_000
    pieces = cut(ARTICLE, seconds, sentences)
    assert black("".join(texts(pieces))) == black(ARTICLE)
    assert max(usual_seconds(each) for each in texts(pieces)) <= seconds
    assert sum(each.pause == PARAGRAPH_PAUSE for each in pieces) == ARTICLE.count("\n\n")


_REPEATED = [
    *(
        ".",
        '"',
        " a.",
        "A. ",
        ". ",
        "! ",
        '."',
        ',"',
        "…",
        "—",
        "1. ",
        "a",
        "天",
        "。",
        "Dr. ",
        "(",
        "《",
    ),
    *(
        "\n- a",
        "\n1. ",
        "\n-",
        "[1]",
        "z. B. ",
        "🇩",
        "😀",
        "e.g. The ",
        ". .",
        "-",
        "*",
        "." * 99 + "a ",
        "a" * 99 + ". ",
    ),
]


@pytest.mark.parametrize("part", _REPEATED)
def test_time_is_in_proportion_to_the_text(part: str) -> None:
    """A step that looks at all that is left for each character would take half a minute."""
    text = "a" + part * (10_000 // len(part))
    for sentences in (None, 1):
        pieces = cut(text, 30.0, sentences)
        assert spoken("".join(texts(pieces))) == spoken(text)


@pytest.mark.parametrize("part", [*" \n\r\u2029\u0301\u200d\ufe0f\u200b", "\n\n", "\n\u200b\n "])
def test_and_for_what_nobody_sees(part: str) -> None:
    assert one_line("a" + part * 200_000 + "b").rstrip("b").startswith("a")
    assert cut("a" + part * 200_000 + "\nb", NO_LIMIT)[-1].text.endswith("b")


def test_seconds_are_those_of_its_parts_whatever_the_blanks() -> None:
    assert usual_seconds("Hello, you.") == usual_seconds("Hel lo,") + usual_seconds(" you.")
    decomposed = unicodedata.normalize("NFD", "Ça été")
    assert usual_seconds(decomposed) == pytest.approx(usual_seconds("Ça été"))


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("What time is it in Tokyo right now?", 2.2),
        ("今天天气很好，我们一起去公园散步吧。", 4.0),
        ("今日はとても良い天気なので、公園へ行きましょう。", 4.5),
        ("오늘은 날씨가 참 좋네요. 같이 공원에 갈까요?", 4.0),
        ("Сегодня прекрасная погода, пойдём в парк.", 3.5),
        ("Das Wetter ist schön, wir gehen in den Park.", 3.2),
        ("3.14159265358979", 6.5),
        ("NASA, IBM, HTTP, XML, JSON", 6.0),
        ("WHAT TIME IS IT IN TOKYO RIGHT NOW?", 2.8),
    ],
)
def test_and_about_what_speech_takes(text: str, usual: float) -> None:
    assert 0.7 * usual <= usual_seconds(text) <= 1.7 * usual
