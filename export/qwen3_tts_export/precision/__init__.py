"""Which type each weight and each step has, and how numbers get there."""
