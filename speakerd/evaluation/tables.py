"""Markdown tables of what was measured, each figure with its number of trials."""

from collections.abc import Iterator, Sequence

from speakerd.evaluation.conditions import CLEAN, shown
from speakerd.evaluation.few_shot import PRODUCT, Figures
from speakerd.evaluation.metrics import Interval


def main_table(lines: Sequence[Figures]) -> Iterator[str]:
    """The product (and controls, if they were tried) at oracle thresholds, and at thresholds known beforehand."""
    yield (
        "| corpus | words | K | noise | method | queries x draws (heard) | negatives | closed-set | ACC@1%FAR "
        "| ACC@5%FAR | AUROC | 1 % by shipped impostors: ACC | FAR | 5 %: ACC | FAR "
        "| as enrolled: ACC | negatives accepted | promised misses |"
    )
    yield "|" + "---|" * 18
    for f in lines:
        counts = [f"{f.queries:.0f} x {f.draws} ({f.heard:.3f})", f"{f.negatives:.0f}"]
        cells = [
            f.closed_set, f.acc_at_1, f.acc_at_5, f.auroc, f.calibrated_acc_at_1, f.calibrated_far_at_1,
            f.calibrated_acc_at_5, f.calibrated_far_at_5, f.calibrated_hit, f.calibrated_far, f.expected_frr,
        ]  # fmt: skip
        yield _row([f.corpus, str(f.words), str(f.shots), _noise(f), f.method, *counts, *map(_cell, cells)])


def gains_table(lines: Sequence[Figures]) -> Iterator[str]:
    """What the product has over each control, on the same draws and at equal false accepts."""
    yield (
        "| corpus | K | noise | over | draws | closed-set | ACC@1%FAR | ACC@5%FAR "
        "| share of its false rejects saved at 1 % FAR |"
    )
    yield "|" + "---|" * 9
    for f in lines:
        if f.method != PRODUCT:
            cells = [f.over_closed_set, f.over_at_1, f.over_at_5, f.rejects_saved_at_1]
            signed = [cell.signed if cell else "-" for cell in cells]
            yield _row([f.corpus, str(f.shots), _noise(f), f.method, str(f.draws), *signed])


def _noise(f: Figures) -> str:
    return shown(CLEAN if f.snr is None else f.snr)


def _cell(value: Interval | None) -> str:
    return "-" if value is None else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
