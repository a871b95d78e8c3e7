"""One request, left to right: text → prompt → slots → frames → samples → chunks."""
