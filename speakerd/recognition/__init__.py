"""From an utterance to a name: encoder, space, prototypes, open-set scores. Pure functions of what they are given."""
