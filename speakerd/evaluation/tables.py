"""Markdown tables of what was measured, each figure with its number of trials."""

from collections.abc import Iterator, Sequence

from speakerd.evaluation.conditions import CLEAN, shown
from speakerd.evaluation.few_shot import PRODUCT, Figures
from speakerd.evaluation.languages import Language
from speakerd.evaluation.metrics import Interval
from speakerd.evaluation.personal import Personal
from speakerd.evaluation.study import Study


def document(study: Study) -> Iterator[str]:
    """All tables of an evaluation."""
    yield from main_table(study.figures)
    if any(line.over_closed_set for line in study.figures):
        yield from ("", *gains_table(study.figures))
    if study.personal:
        yield from ("", *personal_table(study.personal))
    if study.languages:
        yield from ("", *language_table(study.languages))


def main_table(lines: Sequence[Figures]) -> Iterator[str]:
    """The product (and controls, if they were tried) at oracle thresholds, and at thresholds known beforehand."""
    yield (
        "| corpus | words | K | heard | method | queries x draws (heard) | negatives | closed-set | ACC@1%FAR "
        "| ACC@5%FAR | a threshold each: ACC at most 1%FAR | AUROC "
        "| 1 % by shipped impostors: ACC | FAR | 5 %: ACC | FAR "
        "| as enrolled: ACC | negatives accepted | promised misses |"
    )
    yield "|" + "---|" * 19
    for f in lines:
        counts = [f"{f.queries:.0f} x {f.draws} ({f.heard:.3f})", f"{f.negatives:.0f}"]
        cells = [
            f.closed_set, f.acc_at_1, f.acc_at_5, f.own_acc_at_1, f.auroc, f.calibrated_acc_at_1,
            f.calibrated_far_at_1, f.calibrated_acc_at_5, f.calibrated_far_at_5, f.calibrated_hit, f.calibrated_far,
            f.expected_frr,
        ]  # fmt: skip
        yield _row([f.corpus, str(f.words), str(f.shots), _heard(f), f.method, *counts, *map(_cell, cells)])


def gains_table(lines: Sequence[Figures]) -> Iterator[str]:
    """What the product has over each control, on the same draws and at equal false accepts."""
    yield (
        "| corpus | K | heard | over | draws | closed-set | ACC@1%FAR | ACC@5%FAR "
        "| share of its false rejects saved at 1 % FAR | with a threshold each |"
    )
    yield "|" + "---|" * 10
    for f in lines:
        if f.method != PRODUCT:
            cells = [f.over_closed_set, f.over_at_1, f.over_at_5, f.rejects_saved_at_1, f.rejects_saved_at_own_1]
            signed = [cell.signed if cell else "-" for cell in cells]
            yield _row([f.corpus, str(f.shots), _heard(f), f.method, str(f.draws), *signed])


def personal_table(lines: Sequence[Personal]) -> Iterator[str]:
    """What a person gains by teaching the commands themself, over commands that others have taught."""
    yield (
        "| corpus | K | heard | speakers | draws x queries | negatives | figure | taught by oneself | by others | gain "
        "| worst tenth: by oneself | by others |"
    )
    yield "|" + "---|" * 12
    for line in lines:
        start = [line.corpus, str(line.shots), _heard(line), str(line.speakers), f"{line.draws} x {line.queries:.0f}"]
        for name, found in {
            "closed-set": line.closed_set, "ACC@1%FAR": line.acc_at_1, "ACC@5%FAR": line.acc_at_5,
            "as enrolled: ACC": line.calibrated_hit, "negatives accepted": line.calibrated_far,
        }.items():  # fmt: skip
            worst = [
                f"{value:.3f} ({line.worst} of {line.speakers})" for value in (found.worst_own, found.worst_others)
            ]
            cells = [str(found.own), str(found.others), found.gain.signed, *worst]
            yield _row([*start, f"{line.negatives:.0f}", name, *cells])


def language_table(lines: Sequence[Language]) -> Iterator[str]:
    yield (
        "| language | corpora | K | heard | method | queries x draws | negatives | closed-set | ACC@1%FAR | ACC@5%FAR "
        "| AUROC |"
    )
    yield "|" + "---|" * 11
    for line in lines:
        counts = [f"{line.queries:.0f} x {line.draws}", f"{line.negatives:.0f}"]
        cells = [str(cell) for cell in (line.closed_set, line.acc_at_1, line.acc_at_5, line.auroc)]
        start = [line.language, ", ".join(line.corpora), str(line.shots), _heard(line), line.method]
        yield _row([*start, *counts, *cells])


def _heard(f: Figures | Personal | Language) -> str:
    return f.change or shown(CLEAN if f.snr is None else f.snr)


def _cell(value: Interval | None) -> str:
    return "-" if value is None else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
