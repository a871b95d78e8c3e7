"""Text, whole or as it comes, cut into pieces that one utterance can hold."""
