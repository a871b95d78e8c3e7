"""How long sentences usually take to say, by the speech rates of their languages."""

SPELLED = "NASA, IBM, HTTP, XML, JSON"

USUAL = [
    ("1次", 0.6),
    ("What time is it in Tokyo right now?", 2.2),
    ("今天天气很好，我们一起去公园散步吧。", 4.0),
    ("今日はとても良い天気なので、公園へ行きましょう。", 4.5),
    ("오늘은 날씨가 참 좋네요. 같이 공원에 갈까요?", 4.0),
    ("Сегодня прекрасная погода, пойдём в парк.", 3.5),
    ("Das Wetter ist schön, wir gehen in den Park.", 3.2),
    ("3.14159265358979", 6.5),
    (SPELLED, 6.0),
]
"""Seconds, at four to seven syllables a second."""
