# ruff: noqa: E501  (a template is easier to read on one line)
"""Phrases with times, dates, prices and other figures, in words, to be written as figures later."""

from __future__ import annotations

from collections.abc import Callable

from qwen3_tts_voice.numerals import ordinal_spelled, spelled
from qwen3_tts_voice.templates import Templates
from qwen3_tts_voice.wordlists import DAYS, MONTHS, NAMES, PLACES, THINGS, listed

_SURNAMES = listed("""
    Smith, Jones, Brown, Taylor, Wilson, Davis, Clark, Hall, Allen, Young, King, Wright,
    Scott, Adams, Baker, Nelson, Carter, Parker, Evans, Collins, Stewart, Morris, Reed,
    Cook, Bell, Murphy, Bailey, Cooper, Kelly, Howard, Ward, Cox, Richardson, Wood, Watson,
    Brooks, Bennett, Gray, Hughes, Price, Myers, Long, Foster
""")
_TITLES = ("Mister", "Mister", "Missus", "Doctor", "Doctor", "Professor")
_TREES = listed("""
    Oak, Elm, Maple, Cedar, Pine, Park, Lake, Hill, Church, Mill, River, Station, High,
    Washington
""")
_LETTERS = ("T V", "D V D", "U S", "U K", "U S B", "P C", "F B I", "B B C", "E U", "A T M", "G P S")
_UNITS = (
    "miles",
    "kilometers",
    "pounds",
    "kilograms",
    "meters",
    "feet",
    "minutes",
    "hours",
    "years",
)
_COUNTED = listed("""
    people, books, letters, cars, houses, pages, tickets, students, votes, trees, words,
    steps
""")


class Figures(Templates):
    """Phrases with figures."""

    def _small(self, low: int, high: int) -> str:
        return spelled(self._random.randint(low, high))

    def _number(self) -> str:
        """Spell a number of up to nine digits, short and round ones more often."""
        digits = self._random.choice((1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7))
        value = self._random.randint(10 ** (digits - 1), 10**digits - 1)
        if self._random.random() < 0.5:
            value = round(value, -max(0, digits - 2))
        return spelled(value)

    def _decimal(self) -> str:
        digits = (
            spelled(self._random.randint(0, 9)) for _ in range(self._random.choice((1, 1, 2)))
        )
        return f"{self._small(0, 120)} point {' '.join(digits)}"

    def _minute(self) -> str:
        minute = self._random.choice((self._random.randint(1, 59), 15, 30, 45, 20))
        return f"oh {spelled(minute)}" if minute < 10 else spelled(minute)

    def _time(self) -> str:
        hour, half = self._small(1, 12), self._of(("A M", "P M"))
        return self._of(
            (
                f"{hour} {self._minute()}",
                f"{hour} {self._minute()}",
                f"{hour} {self._minute()} {half}",
                f"{hour} {half}",
                f"{hour} o'clock",
            )
        )

    def _year(self) -> str:
        century, rest = self._random.choice((18, 19, 19, 19, 20, 20, 17, 16)), self._small(10, 99)
        if self._random.random() < 0.12:
            rest = f"oh {self._small(1, 9)}"
        return f"{spelled(century)} {rest}"

    def _day(self) -> str:
        day = ordinal_spelled(self._random.randint(1, 31))
        month = self._of(MONTHS)
        return self._of((f"{month} {day}", f"{month} {day}", f"the {day} of {month}"))

    def _price(self) -> str:
        dollars, cents = self._of((self._small(2, 99), self._number())), self._small(2, 99)
        return self._of(
            (
                f"{dollars} dollars",
                f"{dollars} dollars and {cents} cents",
                f"{dollars} dollars and {cents} cents",
                f"{cents} cents",
                f"{dollars} euros",
            )
        )

    def _who(self) -> str:
        return f"{self._of(_TITLES)} {self._of(_SURNAMES)}"

    def _street(self) -> str:
        return f"{self._small(1, 99)} {self._of((*_TREES, *_SURNAMES))} Street"

    def _called(self) -> str:
        number = self._of(
            (
                f"{self._small(1, 9)} {self._small(10, 99)}",
                self._small(1, 99),
                self._small(100, 999),
            )
        )
        return f"{self._of(('room', 'flight', 'bus', 'gate', 'number', 'channel'))} {number}"

    def _all(self) -> list[Callable[[], str]]:
        of, small, number, time = self._of, self._small, self._number, self._time
        year, day, price, who, called = self._year, self._day, self._price, self._who, self._called
        return [
            lambda: (
                f"{of(('see you', 'we met', 'I will call', 'it began', 'come back'))} at {time()}."
            ),
            lambda: (
                f"the {of(PLACES)} is open from {small(1, 12)} to {small(1, 12)} on {of(DAYS)}s."
            ),
            lambda: (
                f"it's {time()}{of(('', ', get up', ', hurry up', ' in ' + of(NAMES) + 's city'))}."
            ),
            lambda: f"{of(('between', 'from'))} {time()} and {time()}, the {of(PLACES)} is closed.",
            lambda: f"{of(NAMES)} was born {of(('in', 'before', 'after'))} {year()}.",
            lambda: (
                f"in {year()} the {of(PLACES)} was {of(('built', 'sold', 'lost', 'burned down'))}."
            ),
            lambda: (
                f"{of(('she left', 'he wrote it', 'the war ended', 'they moved'))} on {day()}, {year()}."
            ),
            lambda: (
                f"{of(('the party is', 'pay by', 'the show starts', 'the offer ends'))} on {day()}."
            ),
            lambda: (
                f"{of(('the', 'this', 'that', 'a good'))} {of(THINGS)} {of(('costs', 'is', 'was'))} {price()}."
            ),
            lambda: f"{of(NAMES)} {of(('paid', 'owes me', 'spent', 'saved', 'won'))} {price()}.",
            lambda: (
                f"{who()} {of(('is here', 'will see you', 'called', 'has moved', 'is my neighbor'))}."
            ),
            lambda: (
                f"please {of(('ask', 'tell', 'write to', 'wait for'))} {who()} at {self._street()}."
            ),
            lambda: f"{of(('he lives', 'we met', 'stop', 'the office is'))} at {self._street()}.",
            lambda: f"turn {of(('left', 'right'))} on {of((*_TREES, *_SURNAMES))} Street.",
            lambda: (
                f"{of(('only', 'about', 'more than', 'nearly', 'exactly'))} {number()} {of(_COUNTED)}."
            ),
            lambda: f"there are {number()} {of(_COUNTED)} in the {of(PLACES)}.",
            lambda: f"the {of(PLACES)} is {of((number(), self._decimal()))} {of(_UNITS)} away.",
            lambda: (
                f"it {of(('weighs', 'takes', 'is', 'lasted'))} {of((small(2, 99), self._decimal()))} {of(_UNITS)}."
            ),
            lambda: (
                f"{of((small(1, 99), self._decimal()))} percent of {of(('us', 'them', 'the votes', 'all people'))}."
            ),
            lambda: (
                f"{of(('prices rose', 'sales fell', 'it grew'))} by {of((small(1, 99), self._decimal()))} percent."
            ),
            lambda: (
                f"it is {of(('', 'minus '))}{small(1, 45)} degrees {of(('outside', 'in ' + of(MONTHS), 'today'))}."
            ),
            lambda: (
                f"{called()} {of(('is free', 'is late', 'leaves now', 'stops here', 'is next'))}."
            ),
            lambda: f"{of(('go to', 'wait at', 'look for', 'try'))} {called()}.",
            lambda: (
                f"{of(('chapter', 'page', 'lesson', 'step', 'part'))} {number()}{of(('', ', please', ' is missing'))}."
            ),
            lambda: (
                f"the {ordinal_spelled(self._random.randint(1, 99))} {of(('floor', 'time', 'day', 'street', 'page', 'century', 'place'))}."
            ),
            lambda: (
                f"{of(NAMES)} {of(('was', 'came', 'finished'))} {ordinal_spelled(self._random.randint(1, 30))}."
            ),
            lambda: (
                f"the {of(_LETTERS)} {of(('is on', 'is off', 'team lost', 'is broken', 'was new'))}."
            ),
            lambda: f"{of(NAMES)} has a {of(('T V', 'D V D', 'P C', 'B A', 'P H D', 'G P S'))}.",
            lambda: (
                f"{of(NAMES)} is {small(1, 99)}{of((' years old', '', ' and ' + of(NAMES) + ' is ' + small(1, 99)))}."
            ),
            lambda: f"{small(1, 12)}, {small(1, 60)}, {small(1, 99)}{of(('', ', ' + number()))}.",
            lambda: f"{number()} {of(('plus', 'minus', 'times'))} {number()} is {number()}.",
        ]
