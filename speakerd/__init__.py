"""speakerd: a daemon that learns a household's own voice commands on the device."""

import os

# What is heard here is nobody else's business: onnxruntime (since 1.29) would report to its makers what it runs.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
