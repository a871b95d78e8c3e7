"""What a server is asked to say under load: sentences of all lengths that nothing was tuned on."""

import random
from collections.abc import Iterator

TEXTS = (
    "Dinner is ready.",
    "The door is open.",
    "Rain until noon.",
    "Please hold the line.",
    "Your parcel arrived today.",
    "Nobody answered the bell.",
    "The lights are off now.",
    "Somebody left a green umbrella here.",
    "The next bus comes at ten.",
    "My brother keeps bees behind the barn.",
    "There are four eggs in the basket.",
    "Could you turn the music down a little?",
    "The museum is closed on the first Monday.",
    "We walked along the river until it was dark.",
    "She painted the old fence blue over the weekend.",
    "A small boat was tied up under the bridge.",
    "The baker starts work long before the sun is up.",
    "Put the flour in first, and the milk after that.",
    "I could not find my other glove, so I stayed at home.",
    "The meeting was moved to Thursday, at a quarter past nine.",
    "Two of the windows on the north side do not shut properly.",
    "Somewhere down the street a dog barked, and then it was quiet again.",
    "If the battery is low, plug the speaker in before you go to bed.",
    "The teacher asked the children to draw what they had seen in the forest.",
    "He bought a second ticket by mistake, and gave it to a stranger at the gate.",
    "There was snow on the hills this morning, but the road to the village is clear.",
    "The kitchen smelled of onions and pepper, and someone was singing in the next room.",
    "You have three new messages, and the oldest of them is from your neighbour downstairs.",
    "After the storm we found the garden chair in the pond and the table on its side.",
    "Take the second street on the left, go past the school, and ask for Martin at the counter.",
    "The library will send you a note when the book is back, which may take a week or two.",
    "My grandmother wrote down every recipe she knew in a small red book that nobody else can "
    "read.",
    "The tide was so low that we could walk to the island and back without getting our feet wet.",
    "Before you paint the wall, wash it with warm water, let it dry, and cover the floor with "
    "paper.",
    "The last train is delayed by forty minutes, so the waiting room on platform two will stay "
    "open until midnight.",
    "When the lamp in the hall turns red, somebody is at the front door, and when it turns "
    "green they have gone.",
    "The farmer told us that the well had never been dry, not even in the long summer when all "
    "the others were.",
    "It takes about an hour to climb the tower, but on a clear day you can see both of the "
    "lakes from up there.",
    "We tried the key in every lock of the house, and in the end it fitted the little cupboard "
    "under the stairs.",
    "Because the bridge is being repaired until the end of the month, everyone has to take the "
    "ferry, which leaves every half hour.",
    "The clock in the hall strikes six when it is seven, and nobody in the family has ever "
    "wanted to put that right.",
    "Leave your coat on the hook, your boots by the stove, and tell me slowly what happened on "
    "the way from the station.",
)
"""English, 3 to 25 words each."""


def asked(seed: int) -> Iterator[tuple[str, int]]:
    """Give texts to ask for, without end, each with a seed: the same in every run.

    Args:
        seed: Of their order, in which each comes once before any comes again.
    """
    order, number = random.Random(seed), 0
    while True:
        for text in order.sample(TEXTS, len(TEXTS)):
            yield text, number
            number += 1
