from itertools import pairwise

import numpy as np
import pytest

from speakerd.house import Mind
from speakerd.learning.calibration import NOISIEST, Impostors, Likeness, expected_scores, own_scores, promise
from speakerd.recognition.head import Matrix, scores
from speakerd.recognition.scoring import learned
from speakerd.recognition.world import fine
from speakerd.store.knowledge import NOTHING, Heads, Overheard
from tests.recognition.worlds import GENUINE, around, vectors, world

PER_HOUR, MANY = 500.0, 5000
EXPONENTIAL = np.random.default_rng(0).exponential(0.05, MANY).astype(np.float32)
NORMAL = np.random.default_rng(1).normal(-0.4, 0.1, MANY).astype(np.float32)
ANY = np.ones(1, bool)  # the impostors of the small world are of one length


# -- false accepts


@pytest.mark.parametrize("strangers", [EXPONENTIAL, NORMAL], ids=["exponential", "normal"])
def test_rate_and_threshold_are_each_other_s_inverse(strangers: np.ndarray) -> None:
    impostors = Impostors(strangers, PER_HOUR)
    for rate in np.geomspace(1e-6, PER_HOUR, 200):
        assert impostors.rate(impostors.threshold(rate)) == pytest.approx(rate, rel=1e-4, abs=1.01 * PER_HOUR / MANY)
    for rate in np.geomspace(1e-6, 0.019 * PER_HOUR, 50):  # beyond the impostors there are no steps
        assert impostors.rate(impostors.threshold(rate)) == pytest.approx(rate, rel=1e-6)


def test_more_than_one_an_hour_come_in_clumps() -> None:
    alone, clumped = Impostors(EXPONENTIAL, PER_HOUR), Impostors(EXPONENTIAL, PER_HOUR, 0.7)
    for rate in (0.01, 0.5, 1.0):
        assert clumped.threshold(rate) == alone.threshold(rate)
    assert clumped.rate(alone.threshold(9.0)) == pytest.approx(9.0**0.7)
    for rate in (1.5, 4.0, 8.0):
        assert clumped.rate(clumped.threshold(rate)) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("strangers", [EXPONENTIAL, NORMAL, np.zeros(100, np.float32)], ids=["exp", "normal", "same"])
def test_stricter_is_never_more_often_wrong(strangers: np.ndarray) -> None:
    impostors = Impostors(strangers, PER_HOUR)
    rates = [impostors.rate(t) for t in np.linspace(strangers.min() - 0.1, strangers.max() + 1, 2000)]
    assert rates[0] == PER_HOUR
    assert rates[-1] < 1e-3
    assert all(later <= earlier for earlier, later in pairwise(rates))
    thresholds = [impostors.threshold(rate) for rate in np.geomspace(1e-9, PER_HOUR, 500)]
    assert all(later <= earlier for earlier, later in pairwise(thresholds))


def test_rate_among_the_impostors_is_how_many_of_them_get_through() -> None:
    impostors = Impostors(NORMAL, PER_HOUR)
    for share in (0.9, 0.5, 0.1, 0.03):
        threshold = float(np.quantile(NORMAL, 1 - share))
        assert impostors.rate(threshold) == pytest.approx(PER_HOUR * np.mean(threshold <= NORMAL))


def test_rate_beyond_the_impostors_falls_off_exponentially() -> None:
    impostors = Impostors(NORMAL, PER_HOUR)
    highest = float(NORMAL.max())
    rates = [impostors.rate(highest + 0.1 * step) for step in range(6)]
    ratios = [later / earlier for earlier, later in pairwise(rates)]
    assert rates[-1] > 0
    assert ratios == pytest.approx([ratios[0]] * 5)
    assert ratios[0] < 0.5


def test_rate_beyond_the_impostors_is_what_more_of_them_would_show() -> None:
    impostors = Impostors(EXPONENTIAL, PER_HOUR)
    for threshold in (0.3, 0.5, 0.7):  # the truth is known here: the largest of 5000 is at about 0.43
        assert impostors.rate(threshold) == pytest.approx(PER_HOUR * np.exp(-threshold / 0.05), rel=3)
        assert impostors.rate(threshold) > PER_HOUR * np.exp(-threshold / 0.05) / 4


def test_the_further_beyond_the_impostors_the_less_is_known_of_the_rate() -> None:
    impostors = Impostors(EXPONENTIAL, PER_HOUR)
    rates = (5.0, 1.0, 0.1, 0.01)
    doubts = [impostors.doubt(impostors.threshold(rate)) for rate in rates]
    assert all(low < high for low, high in pairwise(doubts))
    assert all(EXPONENTIAL.max() > 0.3 and doubt > 1 / (0.02 * MANY) for doubt in doubts)
    draws = [
        Impostors(np.random.default_rng(i).exponential(0.05, MANY).astype(np.float32), PER_HOUR) for i in range(300)
    ]
    for rate, doubt in zip(rates, doubts, strict=True):  # as many other impostors would say
        others = np.log([one.rate(impostors.threshold(rate)) for one in draws])
        assert others.var() == pytest.approx(doubt, rel=0.35)
    known = impostors.threshold(1.0)
    assert impostors.doubt(known, known) == 0
    assert impostors.doubt(impostors.threshold(0.1), known) < impostors.doubt(impostors.threshold(0.1))


def test_the_more_a_household_talks_the_more_its_own_talk_counts() -> None:
    impostors = Impostors(EXPONENTIAL, PER_HOUR)
    near = impostors.threshold(1.0)
    assert Likeness.of(NOTHING, impostors, near).mean == 1
    found = [Likeness.of(Overheard(hours, round(3 * hours), hours), impostors, near) for hours in (0, 1, 4, 20, 100)]
    assert all(low.mean < high.mean for low, high in pairwise(found))
    assert found[-1].mean == pytest.approx(3, rel=0.05), "it comes near three times as often as strangers' talk"
    assert all(low.variance > high.variance for low, high in pairwise(found))
    for one in found:
        low, high = one.between()
        assert low < one.mean < high
        assert one.between(1.0)[0] < low
    assert found[0].between()[0] < 0.5 and found[0].between()[1] > 2, "households differ, before anything was heard"
    assert found[-1].between()[0] > 2 and found[-1].between()[1] < 4


# -- false rejects


def taken(seed: int, many: int, spread: float) -> list[Matrix]:
    """Examples about a centre, each with six variants."""
    centre = vectors(1, seed)
    return [around(centre, 7, spread, seed + i) for i in range(many)]


def test_own_score_is_what_each_example_scores_with_a_head_learned_from_the_others() -> None:
    small, examples = world(), taken(5, 4, 0.5)
    own = own_scores(small, examples, [None] * 4)
    for i in range(4):
        heads, _ = learned(small, examples[:i] + examples[i + 1 :], [None] * 3)
        itself = examples[i][:1]
        assert own[i] == pytest.approx(scores(heads, itself, small.strangers(itself)).max(), abs=1e-6)
    assert own_scores(small, examples[:1], [None]).shape == (0,)


def test_own_score_knows_nothing_of_the_example_s_own_variants() -> None:
    small, examples, others = world(), taken(5, 2, 0.5), taken(8, 2, 0.5)
    own = own_scores(small, examples, [None] * 2)
    with_others = [np.concatenate([mine[:1], other[1:]]) for mine, other in zip(examples, others, strict=True)]
    assert own_scores(small, [with_others[0], examples[1]], [None] * 2)[0] == pytest.approx(own[0], abs=1e-6)
    assert abs(own_scores(small, [with_others[0], examples[1]], [None] * 2)[1] - own[1]) > 1e-3


def test_own_score_in_a_family_is_the_highest_of_its_members() -> None:
    small = world()
    anna, joerg = taken(5, 3, 0.2), taken(70, 3, 0.2)
    family = own_scores(small, anna + joerg, ["Anna"] * 3 + ["Jörg"] * 3)
    alone = own_scores(small, anna, ["Anna"] * 3)
    assert family[:3] == pytest.approx(alone, abs=1e-6)


def test_one_example_says_nothing_of_how_the_next_will_score() -> None:
    expected = expected_scores(world(), np.zeros(0, np.float32), 1)
    assert (expected.mean, expected.stdev) == (GENUINE[0].mean, GENUINE[0].deviation)


def test_own_examples_move_what_is_expected_of_the_next() -> None:
    like, unlike = (expected_scores(world(), np.array([s, s, s], np.float32), 3) for s in (0.9, 0.1))
    assert like.mean > GENUINE[2].mean > unlike.mean
    assert like.mean - unlike.mean == pytest.approx(0.8 * GENUINE[2].slope, abs=1e-6)
    assert like.stdev == unlike.stdev == GENUINE[2].residual


def test_more_examples_than_were_ever_tried_count_as_the_most() -> None:
    own = np.full(40, 0.5, np.float32)
    assert expected_scores(world(), own, 40) == expected_scores(world(), own, len(GENUINE))


# -- promises


def heads_of(centre: Matrix) -> Heads:
    return learned(world(), [centre], [None])[0]


CENTRE = vectors(1, 30)


def promised(share: float, highest_frr: float = 0.3, own: float = 1.5) -> tuple[float, float, float, bool]:
    kept = promise(world(), heads_of(CENTRE), np.full(3, own, np.float32), 3, ANY, share, highest_frr)
    return kept.threshold, kept.expected_fa_per_hour, kept.expected_frr, kept.over_budget


def test_budget_is_kept_where_that_misses_few() -> None:
    threshold, fa, frr, over = promised(share=2.0)
    assert fa == pytest.approx(2.0, rel=1e-6)
    assert frr < 0.3
    assert not over
    stricter, less, more, _ = promised(share=1.0)
    assert stricter > threshold
    assert less == pytest.approx(1.0, rel=1e-6)
    assert more > frr


def test_budget_is_kept_also_where_talk_sounds_more_like_the_command() -> None:
    own = np.full(3, 1.5, np.float32)
    usual, alike = (promise(world(), heads_of(CENTRE), own, 3, ANY, 1.0, 0.9, alike=times) for times in (1, 4))
    assert alike.threshold > usual.threshold
    assert alike.expected_frr > usual.expected_frr
    heard = promise(world(), heads_of(CENTRE), own, 3, ANY, 1.0, 0.9, alike=4, heard=Overheard(100, 400, 100))
    assert heard.threshold == alike.threshold
    assert heard.expected_fa_per_hour == pytest.approx(1.0, rel=0.1)
    assert heard.fa_between[0] < heard.expected_fa_per_hour < heard.fa_between[1]
    assert heard.fa_hours == pytest.approx(usual.fa_hours + 100)
    limited = promise(world(), heads_of(CENTRE), own, 3, ANY, 0.5, 0.1, alike=70)
    assert limited.over_budget
    assert limited.expected_fa_per_hour == pytest.approx(NOISIEST / 70, rel=0.1), "of strangers' talk"
    assert 0.1 < limited.expected_frr < 0.9


def test_no_command_may_be_noisier_than_that_however_many_are_missed() -> None:
    _, fa, frr, over = promised(share=0.1, highest_frr=0.001, own=0.0)
    assert fa == pytest.approx(NOISIEST, rel=1e-6)
    assert frr > 0.001
    assert over
    assert promised(share=5.0, highest_frr=0.001, own=0.0)[1] == pytest.approx(5.0, rel=1e-6), (
        "unless the budget is larger"
    )


def test_where_the_budget_would_miss_too_many_the_limit_wins_and_is_marked() -> None:
    threshold, fa, frr, over = promised(share=1e-6)
    assert over
    assert frr == pytest.approx(0.3)
    assert fa > 1e-6
    assert promised(share=1e-9)[:3] == (threshold, fa, frr)
    lower, more, fewer, _ = promised(share=1e-6, highest_frr=0.1)
    assert lower < threshold
    assert more > fa
    assert fewer == pytest.approx(0.1)


def test_limit_on_misses_holds_for_any_budget() -> None:
    for share in np.geomspace(1e-9, 100, 40):
        _, fa, frr, over = promised(share)
        assert frr <= 0.3 + 1e-9
        assert over or fa <= share * (1 + 1e-6) + 500 / 2000  # to one impostor, among them


def test_examples_that_agree_allow_a_promise_that_others_do_not() -> None:
    assert not promised(share=0.1, own=2.0)[3]
    assert promised(share=0.1, own=0.0)[3]


def test_promise_is_about_the_head_that_strangers_score_highest_with() -> None:
    one, two = (heads_of(vectors(1, seed)) for seed in (31, 32))
    together = Heads(np.concatenate([one.weights, two.weights]), np.concatenate([one.bias, two.bias]))
    own = np.full(3, 0.9, np.float32)
    alone = [promise(world(), heads, own, 3, ANY, 0.5, 0.3).threshold for heads in (one, two)]
    assert promise(world(), together, own, 3, ANY, 0.5, 0.3).threshold >= max(alone) - 1e-6


def test_bundled_world_gives_promises(mind: Mind) -> None:
    vectors = np.concatenate([mind.world.cohort, fine(mind.world.courses)], axis=1)
    heads, _ = learned(mind.world, [vector[None] for vector in vectors[:3]], [None] * 3)
    own, fits = np.full(3, 1.4, np.float32), np.arange(int(mind.world.lengths.max()) + 1) < 3
    rates = [promise(mind.world, heads, own, 3, fits, share, 0.3) for share in (10, 0.25, 0.01)]
    assert rates[0].threshold < rates[2].threshold + 1e-9
    assert all(np.isfinite([r.threshold, r.expected_fa_per_hour, r.expected_frr]).all() for r in rates)
    assert all(0 <= r.expected_frr <= 0.3 + 1e-9 for r in rates)
