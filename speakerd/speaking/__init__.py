"""What the speaker says: texts in language files, a synthesiser, tones, and the loudspeaker."""
