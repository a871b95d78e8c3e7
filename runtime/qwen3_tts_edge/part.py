"""What is read from files: it is what it should be, or an error."""

import msgspec


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Immutable, and strict when it is read: an unknown or missing key is an error."""
