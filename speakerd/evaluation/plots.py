"""Pictures of an evaluation: how many commands are heard at which price, and how the encoder tells words apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speakerd.errors import SpeakerdError
from speakerd.evaluation.few_shot import PRODUCT, Draw
from speakerd.evaluation.metrics import accuracy_curve
from speakerd.evaluation.sounds import Names
from speakerd.recognition.head import Matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_WORDS = 20  # on one map
MOST_CLIPS = 60  # of a word


def roc(file: Path, title: str, curves: Mapping[str, Sequence[Draw]]) -> None:
    """Accuracy (accepted and named right) over the false accept rate, mean of the draws of each curve; a band is the
    middle 95 % of the first curve's draws.

    Raises:
        SpeakerdError: matplotlib is not installed.
    """
    figure, axes = _canvas(8, 5.5)
    fewest = min(len(draw.negatives) for draws in curves.values() for draw in draws)
    rates = np.geomspace(min(3 / fewest, 0.01), 1, 80)
    for i, (label, draws) in enumerate(curves.items()):
        found = np.stack([accuracy_curve(d.best, d.right, d.negatives, rates) for d in draws])
        bold = label.startswith(PRODUCT)
        (line,) = axes.plot(rates, found.mean(axis=0), label=label, lw=2.4 if bold else 1.3, zorder=3 if bold else 2)
        if i == 0:
            low, high = np.quantile(found, [0.025, 0.975], axis=0)
            axes.fill_between(rates, low, high, color=line.get_color(), alpha=0.15, lw=0)
    for rate in (0.01, 0.05):
        axes.axvline(rate, color="0.6", lw=0.8, ls=":")
    axes.set(xscale="log", xlim=(rates[0], 1), ylim=(0, 1), title=title)
    axes.set_xlabel("negatives accepted (false accept rate)")
    axes.set_ylabel("queries accepted and named right")
    axes.set_xticks([r for r in (0.001, 0.01, 0.05, 0.1, 1) if r >= rates[0]])
    axes.set_xticklabels([f"{100 * r:g} %" for r in (0.001, 0.01, 0.05, 0.1, 1) if r >= rates[0]])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(file, dpi=130)


def embedding_map(file: Path, title: str, white: Matrix, words: Names) -> None:
    """Clips of up to twenty words, (clips, dimension), in two dimensions (t-SNE, van der Maaten and Hinton 2008), each
    word's name in the middle of its clips.

    Raises:
        SpeakerdError: matplotlib or scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise _missing("scikit-learn", error) from error
    draw = np.random.default_rng(0)
    names = sorted(set(words))[:MOST_WORDS]
    rows = np.concatenate([draw.permutation(np.flatnonzero(words == name))[:MOST_CLIPS] for name in names])
    reduced = TSNE(perplexity=min(30, (len(rows) - 1) / 3), metric="cosine", init="pca", random_state=0)
    flat = reduced.fit_transform(white[rows])
    figure, axes = _canvas(8, 7)
    import matplotlib as mpl

    colours = mpl.colormaps["tab20"](np.linspace(0, 1, MOST_WORDS))
    for i, name in enumerate(names):
        axes.scatter(*flat[words[rows] == name].T, s=14, color=colours[i], alpha=0.8, lw=0)
    axes.margins(0.08)
    taken: list[Any] = []
    for i, name in enumerate(names):
        _label(axes, name, flat[words[rows] == name], colours[i], taken)
    axes.set(title=title, xticks=[], yticks=[])
    figure.savefig(file, dpi=130)


def _label(axes: Any, name: str, points: Matrix, colour: Any, taken: list[Any]) -> None:
    """Write a name above or below its points, where none of the boxes ``taken`` is; adds its own."""
    x, middle = np.median(points, axis=0)
    low, high = np.quantile(points[:, 1], [0.05, 0.95])
    places = [(high, "bottom"), (low, "top"), (middle, "center")]
    for y, side in places:
        text = axes.text(
            x, y, name, ha="center", va=side, fontsize=10, fontweight="bold", zorder=4,
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": colour, "alpha": 0.85},
        )  # fmt: skip
        box = text.get_window_extent(axes.figure.canvas.get_renderer()).padded(3)
        if side == "center" or not any(box.overlaps(other) for other in taken):
            taken.append(box)
            return
        text.remove()


def _canvas(width: float, height: float) -> "tuple[Figure, Any]":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise _missing("matplotlib", error) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _missing(what: str, error: ImportError) -> SpeakerdError:
    return SpeakerdError(f"plots need {what} ({error}): script/setup dev")
