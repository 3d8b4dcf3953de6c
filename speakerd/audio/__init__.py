"""Sound as it comes in: sources, files, frames, voice activity, log-mel features. Knows nothing of commands."""
