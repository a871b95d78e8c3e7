# ruff: noqa: E501  (a template is easier to read on one line)
"""Everyday phrases drawn from templates: times, numbers, weekdays, devices."""

from __future__ import annotations

from collections.abc import Callable

from qwen3_tts_voice.numerals import spelled
from qwen3_tts_voice.templates import Templates
from qwen3_tts_voice.wordlists import (
    DAYS,
    DEEDS,
    MONTHS,
    NAMES,
    ORDINALS,
    PARTS,
    PLACES,
    QUALITIES,
    THINGS,
    WEATHER,
)


class Phrases(Templates):
    """Everyday phrases."""

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
