# ruff: noqa: E501  (a template is easier to read on one line)
"""The sentences the teacher reads: WordNet's usage examples and templates of everyday phrases.

In: a folder with WordNet 3.0's `data.*` files. Out: `text.txt`, one sentence a line, shuffled. The
judge's held-out sentences are never among them.
"""

from __future__ import annotations

import collections
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path

QUOTED = re.compile(r'"([^"]+)"')
PLAIN = re.compile(r"^[A-Za-z' ,.?!;-]+$")
WORD = re.compile(r"[a-z']+")


def words(sentence: str) -> list[str]:
    """Split a sentence into words, lower case, without punctuation."""
    return WORD.findall(sentence.lower())


def wordnet_examples(folder: Path) -> list[str]:
    """Read the clean usage examples of WordNet's glosses: 3 to 16 words, file order, no repeats."""
    found: dict[str, str] = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text("latin1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            for example in QUOTED.findall(line.split("|", 1)[1]):
                sentence = _tidy(example)
                if sentence is not None:
                    found.setdefault(sentence.lower(), sentence)
    return list(found.values())


def _tidy(example: str) -> str | None:
    text = example.strip().strip(";,").replace("`", "'").split(" - ")[0].strip()
    if not PLAIN.match(text) or not 3 <= len(text.split()) <= 16 or re.search(r"[A-Z]{2,}", text):
        return None
    text = text.replace(";", ",")
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text.rstrip(",") + "."


def within(sentences: Iterable[str], commonest: int, longest: int) -> list[str]:
    """Keep sentences of only the commonest words, at most `longest` words and 90 letters."""
    sentences = list(sentences)
    counts = collections.Counter(word for sentence in sentences for word in words(sentence))
    known = {word for word, _ in counts.most_common(commonest)}
    return [
        sentence
        for sentence in sentences
        if len(words(sentence)) <= longest
        and len(sentence) <= 90
        and all(word in known for word in words(sentence))
    ]


UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
NAMES = [
    "John",
    "Mary",
    "David",
    "Anna",
    "Peter",
    "Sarah",
    "Tom",
    "Emma",
    "Jack",
    "Lucy",
    "Henry",
    "Alice",
    "Robert",
    "Helen",
    "George",
    "Kate",
    "Paul",
    "Maria",
    "James",
    "Laura",
    "Michael",
    "Susan",
    "Daniel",
    "Julia",
]
THINGS = [
    "door",
    "window",
    "light",
    "lamp",
    "fan",
    "heater",
    "camera",
    "phone",
    "clock",
    "radio",
    "music",
    "television",
    "gate",
    "car",
    "bag",
    "book",
    "coffee",
    "tea",
    "water",
    "bread",
    "cake",
    "letter",
    "message",
    "order",
    "ticket",
    "key",
    "box",
    "washing machine",
    "oven",
    "alarm",
    "screen",
    "computer",
    "picture",
    "table",
    "chair",
    "bicycle",
    "coat",
    "shirt",
    "milk",
    "cup",
    "bottle",
    "list",
    "map",
    "sugar",
    "paper",
]
QUALITIES = [
    "red",
    "blue",
    "green",
    "white",
    "black",
    "small",
    "big",
    "old",
    "new",
    "warm",
    "cold",
    "hot",
    "quiet",
    "happy",
    "busy",
    "early",
    "late",
    "open",
    "closed",
    "ready",
    "empty",
    "full",
    "clean",
    "broken",
    "locked",
    "heavy",
    "long",
    "short",
    "dry",
    "wet",
    "too cold",
    "too loud",
    "finished",
]
PLACES = [
    "station",
    "airport",
    "library",
    "school",
    "office",
    "kitchen",
    "garden",
    "hotel",
    "park",
    "market",
    "bank",
    "museum",
    "restaurant",
    "hospital",
    "beach",
    "river",
    "bridge",
    "church",
    "house",
    "shop",
    "bedroom",
    "bathroom",
    "living room",
    "hall",
    "city",
    "street",
    "garage",
    "town",
    "theater",
    "store",
    "center",
    "university",
    "village",
    "post office",
]
DEEDS = [
    "open",
    "close",
    "check",
    "find",
    "bring",
    "clean",
    "start",
    "stop",
    "move",
    "watch",
    "lock",
    "buy",
    "take",
    "leave",
]
PARTS = ["morning", "afternoon", "evening"]
WEATHER = ["rain", "snow", "be sunny", "be cloudy", "be warm", "be cold", "be windy", "be dry"]


class Phrases:
    """Everyday phrases drawn from templates with one random generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._templates = self._all()

    def draw(self) -> str:
        """Draw one phrase, first letter upper case."""
        phrase = self._random.choice(self._templates)()
        return phrase[0].upper() + phrase[1:]

    def _of(self, values: Iterable[str]) -> str:
        return self._random.choice(list(values))

    def _int(self, low: int, high: int) -> str:
        """Write a number in words, one time in six in digits."""
        value = self._random.randint(low, high)
        return str(value) if self._random.random() < 1 / 6 else spelled(value)

    def _thing(self) -> str:
        return f"the {self._of(THINGS)}"

    def _place(self) -> str:
        return f"the {self._of(PLACES)}"

    def _time(self) -> str:
        hour = spelled(self._random.randint(1, 12))
        return self._of(
            (
                f"half past {hour}",
                f"a quarter to {hour}",
                f"a quarter past {hour}",
                f"{hour} o'clock",
                f"{hour}",
                f"{hour} {self._of(('thirty', 'fifteen', 'forty five', 'twenty', 'ten', 'fifty'))}",
                f"{hour} {spelled(self._random.randint(10, 59))}",
                f"{self._of(('five', 'ten', 'twenty'))} {self._of(('to', 'past'))} {hour}",
            )
        )

    def _all(self) -> list[Callable[[], str]]:
        of, number, time = self._of, self._int, self._time
        the, place = self._thing, self._place
        return [
            lambda: f"it is {time()} in the {of(PARTS)}.",
            lambda: f"it is {time()}.",
            lambda: f"today is {of(DAYS)}, {of(MONTHS)} {of(ORDINALS)}.",
            lambda: f"today is {of(DAYS)}, the {of(ORDINALS)} of {of(MONTHS)}.",
            lambda: (
                "the number is "
                + ", ".join(
                    spelled(self._random.randint(0, 9)) for _ in range(self._random.randint(3, 6))
                )
                + "."
            ),
            lambda: (
                f"{of(NAMES)} will {of(('meet', 'call', 'visit'))} you at {place()} on {of(DAYS)}."
            ),
            lambda: (
                f"{of(('please', 'can you', 'do not forget to'))} {of(DEEDS)} {the()} and {of(DEEDS)} {the()}."
            ),
            lambda: (
                f"please {of(DEEDS)} {the()} before you {of(('leave', 'go', 'sleep', 'start'))}."
            ),
            lambda: f"{the()} is {of(QUALITIES)} and {the()} is {of(QUALITIES)}.",
            lambda: f"{the()} in {place()} is {of(QUALITIES)}.",
            lambda: (
                f"there are {number(2, 999)} {of(('people', 'books', 'cars', 'cups', 'days', 'letters', 'chairs'))} in {place()}."
            ),
            lambda: f"turn {of(('on', 'off', 'up', 'down'))} {the()} in {place()}.",
            lambda: f"turn {the()} {of(('on', 'off'))}{of(('', ', please', ' now'))}.",
            lambda: f"turn the volume {of(('up', 'down'))} to {number(5, 100)} percent.",
            lambda: f"your {of(THINGS)} is {of(QUALITIES)}.",
            lambda: (
                f"{of(NAMES)} {of(('gave', 'sent', 'showed', 'bought'))} {of(NAMES)} a {of(QUALITIES[:12])} {of(THINGS)}."
            ),
            lambda: (
                f"the temperature {of(('', 'outside ', 'inside ', 'in ' + place() + ' '))}is {number(0, 99)} degrees."
            ),
            lambda: (
                f"where is the {of(('nearest', 'next', *QUALITIES[:12]))} {of((*THINGS, *PLACES))}?"
            ),
            lambda: (
                f"I would like {of(('a', 'the'))} {of(('cup of coffee', 'cup of tea', 'glass of water', 'ticket', 'room', 'new phone', 'table for ' + spelled(self._random.randint(2, 9))))}, please."
            ),
            lambda: (
                f"we walked {of(('from ' + place() + ' ', ''))}to {place()} in {number(2, 60)} minutes."
            ),
            lambda: (
                f"{of(('good morning', 'good evening', 'good afternoon', 'hello', 'thank you', 'goodbye', 'welcome home'))}, {of(NAMES)}."
            ),
            lambda: f"{of(('the', 'your'))} battery is at {number(1, 100)} percent.",
            lambda: (
                f"set {of(('a timer', 'an alarm'))} for {number(2, 90)} {of(('minutes', 'seconds', 'hours'))}."
            ),
            lambda: f"the {of(('alarm', 'timer', 'clock', 'oven'))} is set for {time()}.",
            lambda: f"wake me up at {time()}{of(('', ' tomorrow', ' on ' + of(DAYS)))}.",
            lambda: (
                f"you have {number(2, 40)} {of(('', 'new ', 'unread '))}{of(('messages', 'letters', 'calls', 'tickets', 'orders'))}."
            ),
            lambda: (
                f"the {of(('', 'next ', 'last ', 'first '))}{of(('bus', 'train', 'flight', 'meeting', 'film', 'lesson', 'game'))} {of(('leaves', 'starts', 'arrives', 'ends'))} {of(('at ' + time(), 'in ' + number(2, 59) + ' minutes'))}."
            ),
            lambda: (
                f"the {of(('bus', 'train', 'flight'))} to {place()} is {number(2, 59)} minutes {of(('late', 'early'))}."
            ),
            lambda: (
                f"call {of((*NAMES, 'the office', 'my mother', 'my sister', 'the doctor'))} {of(('at ' + time(), 'on ' + of(DAYS), 'tomorrow', 'again'))}."
            ),
            lambda: (
                f"it will {of(WEATHER)} {of(('tomorrow', 'today', 'on ' + of(DAYS), 'this ' + of(PARTS), 'tomorrow ' + of(PARTS)))}."
            ),
            lambda: (
                f"take the {of(ORDINALS[:4])} {of(('street', 'road', 'door'))} on the {of(('left', 'right'))}."
            ),
            lambda: (
                f"your {of(('order', 'ticket', 'letter', 'new ' + of(THINGS)))} will {of(('arrive', 'be ready', 'be here'))} {of(('on ' + of(DAYS), 'tomorrow', 'at ' + time()))}."
            ),
            lambda: (
                f"{of(('add', 'put'))} {of(THINGS)} and {of(THINGS)} {of(('to', 'on'))} the list."
            ),
            lambda: (
                f"{of(('play', 'stop'))} {of(('', 'some ', 'the '))}{of(('', 'quiet ', 'happy ', 'slow '))}music in {place()}."
            ),
            lambda: (
                f"{of(('breakfast', 'lunch', 'dinner', 'the meal', 'your coffee'))} will be ready {of(('at ' + time(), 'in ' + number(2, 60) + ' minutes'))}."
            ),
            lambda: (
                f"do you want to {of(('hear', 'read', 'send', 'see', 'delete'))} the {of(('message', 'letter', 'list', 'picture', 'news'))}{of(('', ' again', ' now'))}?"
            ),
            lambda: f"the {of(PLACES)} {of(('opens', 'closes'))} at {time()} on {of(DAYS)}.",
            lambda: (
                f"my {of(('sister', 'brother', 'mother', 'father', 'friend', 'son', 'daughter'))} {of(('bought', 'found', 'lost', 'sold', 'broke'))} {of(('a new', 'the', 'an old', 'my'))} {of(THINGS)} {of(('last', 'on'))} {of(DAYS)}."
            ),
            lambda: (
                f"the {of(QUALITIES[:12])} {of(THINGS)} is {of(('in front of', 'behind', 'near', 'in', 'next to'))} {place()}."
            ),
        ]


def spelled(value: int) -> str:
    """Spell a number from 0 to 999 in English words."""
    if value < 20:
        return UNITS[value]
    if value < 100:
        rest = "" if value % 10 == 0 else " " + UNITS[value % 10]
        return TENS[value // 10 - 2] + rest
    rest = "" if value % 100 == 0 else " " + spelled(value % 100)
    return f"{UNITS[value // 100]} hundred{rest}"


def corpus(
    wordnet: Path, held_out: Iterable[str], *, commonest: int, phrases: int, seed: int
) -> list[str]:
    """Collect all training sentences, shuffled with `seed`."""
    banned = {" ".join(words(sentence)) for sentence in held_out}
    found = within(wordnet_examples(wordnet), commonest, 14)
    templates = Phrases(seed)
    drawn: dict[str, None] = {}
    while len(drawn) < phrases:
        drawn[templates.draw()] = None
    sentences = [s for s in [*found, *drawn] if " ".join(words(s)) not in banned]
    random.Random(seed).shuffle(sentences)
    return sentences
