"""The one family of errors that are for people."""


class SpeakerdError(Exception):
    """Something that a person can understand and mend: the message says what is wrong, where, and what to do.
    The command line prints it and exits with 1; the daemon sends it to whoever asked."""
