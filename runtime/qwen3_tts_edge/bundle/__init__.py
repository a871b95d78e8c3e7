"""A bundle, file by file: the one door between export and runtime."""
