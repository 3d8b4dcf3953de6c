"""speakerd: a daemon that learns a household's own voice commands on the device."""

__version__ = "0.1.0"
