"""The version of this package, also where it is not installed and so has no metadata."""

VERSION = "0.1.0"
