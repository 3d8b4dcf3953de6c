"""The learning loop: judges takes, turns examples into prototypes and promises, writes versions."""
