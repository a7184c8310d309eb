"""From files that transformers does not read to ordinary checkpoint folders."""
