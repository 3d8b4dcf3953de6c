"""The few-step head: episodes, inner loops, the MAML family and the metric learners beside it (extra ``train``)."""
