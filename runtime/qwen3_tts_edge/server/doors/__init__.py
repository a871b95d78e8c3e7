"""What stands in front of every request: keys, origins, sizes, names."""
