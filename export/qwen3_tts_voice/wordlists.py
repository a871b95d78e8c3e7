"""Word lists that phrases are made of."""


def listed(words: str) -> list[str]:
    """Take a list apart at its commas."""
    return [word.strip() for word in " ".join(words.split()).split(",")]


UNITS = listed("""
    zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen,
    fourteen, fifteen, sixteen, seventeen, eighteen, nineteen
""")
TENS = listed("""
    twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety
""")
DAYS = listed("""
    Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday
""")
MONTHS = listed("""
    January, February, March, April, May, June, July, August, September, October, November,
    December
""")
ORDINALS = listed("""
    first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh,
    twelfth, thirteenth, fourteenth, fifteenth, sixteenth, seventeenth, eighteenth,
    nineteenth, twentieth
""")
NAMES = listed("""
    John, Mary, David, Anna, Peter, Sarah, Tom, Emma, Jack, Lucy, Henry, Alice, Robert, Helen,
    George, Kate, Paul, Maria, James, Laura, Michael, Susan, Daniel, Julia
""")
THINGS = listed("""
    door, window, light, lamp, fan, heater, camera, phone, clock, radio, music, television,
    gate, car, bag, book, coffee, tea, water, bread, cake, letter, message, order, ticket,
    key, box, washing machine, oven, alarm, screen, computer, picture, table, chair, bicycle,
    coat, shirt, milk, cup, bottle, list, map, sugar, paper
""")
QUALITIES = listed("""
    red, blue, green, white, black, small, big, old, new, warm, cold, hot, quiet, happy, busy,
    early, late, open, closed, ready, empty, full, clean, broken, locked, heavy, long, short,
    dry, wet, too cold, too loud, finished
""")
PLACES = listed("""
    station, airport, library, school, office, kitchen, garden, hotel, park, market, bank,
    museum, restaurant, hospital, beach, river, bridge, church, house, shop, bedroom,
    bathroom, living room, hall, city, street, garage, town, theater, store, center,
    university, village, post office
""")
DEEDS = listed("""
    open, close, check, find, bring, clean, start, stop, move, watch, lock, buy, take, leave
""")
PARTS = listed("""
    morning, afternoon, evening
""")
WEATHER = listed("""
    rain, snow, be sunny, be cloudy, be warm, be cold, be windy, be dry
""")
