"""Official files → checked numbers and mapped tensors."""
