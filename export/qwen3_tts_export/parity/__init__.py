"""How far a bundle is from fp32: codes, samples, and what a recogniser hears."""
