"""Meta-training, beforehand and elsewhere (extra ``train``: torch). The daemon never imports this."""
