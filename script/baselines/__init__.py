"""Other systems on the draws of ``speakerd eval few-shot``, a module for each; run by ``script/compare-baselines``."""
