"""Markdown tables of streams."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from speakerd.evaluation.metrics import Interval
from speakerd.evaluation.stream_score import KINDS, Kept, Meter, Point


@dataclass(frozen=True)
class Line:
    """All that was measured on the streams of one corpus. ``talk_hours`` of speech are in the ``hours``, laid together
    from ``different_hours`` of recordings (None where that is not known)."""

    layout: str
    corpus: str
    streams: int
    said: int
    hours: float
    talk_hours: float
    different_hours: float | None
    points: tuple[Point, ...]
    kept: tuple[Kept, ...]

    @classmethod
    def of(cls, layout: str, corpus: str, meter: Meter, different_hours: float | None) -> "Line":
        said = sum(len(one.said) for one in meter.heard)
        return cls(
            layout, corpus, len(meter.heard), said, meter.hours, meter.talk_hours, different_hours,
            tuple(meter.points()), tuple(meter.kept()),
        )  # fmt: skip


def document(lines: Sequence[Line]) -> Iterator[str]:
    yield from _points(lines)
    yield ""
    yield from _promises(lines)


def _points(lines: Sequence[Line]) -> Iterator[str]:
    yield (
        "| layout | corpus | streams | hours (talk, different) | FA/h asked | FA/h | events: "
        f"{', '.join(KINDS)} | at most (95 %) | said | FRR | alone | in speech | latency: median [10 %, 90 %] s |"
    )
    yield "|" + "---|" * 13
    for line in lines:
        for point in line.points:
            asked = (
                "as enrolled" if point.target is None else f"{point.target:g}{'' if point.proven else ' (too short)'}"
            )
            cells = [
                line.layout, line.corpus, str(line.streams),
                f"{line.hours:.2f} ({line.talk_hours:.2f}, {_digits(line.different_hours, 2)})", asked,
                _cell(point.fa_per_hour, 2), ", ".join(str(point.false[kind]) for kind in KINDS),
                f"{point.at_most:.2f}", str(line.said), _cell(point.frr, 3), _digits(point.frr_alone, 3),
                _digits(point.frr_in_speech, 3), _cell(point.latency, 2),
            ]  # fmt: skip
            yield "| " + " | ".join(cells) + " |"


def _promises(lines: Sequence[Line]) -> Iterator[str]:
    yield "| layout | corpus | hours of talk | false accepts per hour of talk promised | events promised | observed |"
    yield "|" + "---|" * 6
    for line in lines:
        for kept in line.kept:
            cells = [line.layout, line.corpus, f"{line.talk_hours:.2f}", f"{kept.budget:g}", f"{kept.expected:.1f}"]
            yield "| " + " | ".join([*cells, _cell(kept.observed, 1)]) + " |"


def _cell(value: Interval | None, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _digits(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
