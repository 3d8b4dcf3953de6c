"""A bundled demonstration: clips to teach three commands from, a minute of speech to find them in, and the truth."""
