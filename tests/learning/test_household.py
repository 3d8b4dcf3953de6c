"""Teaching, forgetting, renaming and undoing on bundled voices, and on people's where there are recordings."""

import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from speakerd.audio.files import read_audio
from speakerd.config import Config, Enrolment, Listening, Recognition
from speakerd.demo.truth import lessons
from speakerd.events import Match
from speakerd.house import Mind
from speakerd.learning.enlarge import VARIANTS, enlarge
from speakerd.learning.household import MOST_EXAMPLES, EnrolmentError, Household
from speakerd.learning.takes import Take, judge_recording
from speakerd.recognition.encoder import BUNDLED, TrunkEncoder
from speakerd.recognition.head import Adapter, Matrix, scores
from speakerd.recognition.scoring import Matcher, learned
from speakerd.store.knowledge import BadNameError, Command
from speakerd.store.schema import StoreError
from speakerd.store.store import Store
from tests.recordings import clips, said
from tests.store.before import as_before

LAMP, MUSIC, NIGHT = lessons()
TAKES: dict[str, list[Take]] = {
    name: [judge_recording(path.name, read_audio(path), Config().gate) for path in paths]
    for name, paths in lessons().items()
}
REFUSED = Take("silence.wav", None, "no speech found")
Open = Callable[..., Household]


@pytest.fixture
def open_state(mind: Mind, tmp_path: Path) -> Open:
    """Open the state with some settings; again, it is the same state."""

    def open_state(config: Config | None = None, mind: Mind = mind) -> Household:
        return mind.household(tmp_path / "state", config or Config())

    return open_state


@pytest.fixture
def household(open_state: Open) -> Household:
    return open_state()


def people(word: str, many: int, corpus: str = "wake-phrases") -> list[Take]:
    takes = [judge_recording(word, said(0.5, clip, 0.5), Config().gate) for clip in clips(word, many, corpus)]
    assert all(take.accepted for take in takes)
    return takes


def known(household: Household, name: str) -> Command:
    command = household.knowledge.find(name)
    assert command is not None
    return command


def names(household: Household) -> list[str]:
    return [command.name for command in household.knowledge.commands]


def heads(household: Household) -> dict[str, bytes]:
    """Of all commands, to the last bit."""
    return {command.name: command.heads.to_bytes() for command in household.knowledge.commands}


def stored(mind: Mind, folder: Path, command: Command) -> list[Matrix]:
    """Embeddings of a command's examples (1 + variants, dimension), as they are kept."""
    with closing(Store(folder / "state", mind.encoder.id)) as store:
        found = [example.embeddings for example in store.examples(command.examples)]
    return [each for each in found if each is not None]


def matches(mind: Mind, household: Household) -> list[Match]:
    """How what is known compares with all bundled clips."""
    matcher = Matcher(mind.world, household.knowledge.commands)
    utterances = [take.utterance for takes in TAKES.values() for take in takes if take.utterance is not None]
    found = [matcher.match(mind.encoder.embed(utterance)) for utterance in utterances]
    return [match for match in found if match is not None]


# -- teaching


def test_taught_command_has_examples_a_head_and_promises(household: Household) -> None:
    command, doubts, confusable = household.enroll(LAMP, TAKES[LAMP], action="lamp")
    assert (command.name, command.action, len(command.examples)) == (LAMP, "lamp", 3)
    assert doubts == ["", "", ""]
    assert confusable == []
    assert (len(command.heads.weights), len(command.heads.bias), command.speakers) == (3, 3, (None, None, None))
    assert 0 < command.expected_frr <= Config().listening.highest_frr + 1e-9
    assert command.expected_fa_per_hour > 0
    assert household.knowledge.find(LAMP) is command
    assert household.history()[0].change == "kitchen lamp: learned 3 examples"


def test_examples_are_kept_and_learned_from_with_what_they_are_enlarged_by(
    mind: Mind, household: Household, tmp_path: Path
) -> None:
    household.enroll(LAMP, TAKES[LAMP][:2])
    command = household.enroll(LAMP, TAKES[LAMP][2:])[0]  # two of them are read from the store
    kept = stored(mind, tmp_path, command)
    utterances = [take.utterance for take in TAKES[LAMP] if take.utterance is not None]
    assert len(kept) == len(utterances) == 3
    for vectors, utterance in zip(kept, utterances, strict=True):
        assert vectors.shape == (1 + VARIANTS, mind.encoder.dimension)
        for vector, heard in zip(vectors, (utterance, *enlarge(utterance)), strict=True):
            assert np.array_equal(vector, mind.encoder.embed(heard))
    enlarged, _ = learned(mind.world, [mind.world.place(each) for each in kept], [None] * 3)
    assert command.heads.to_bytes() == enlarged.to_bytes()
    bare, _ = learned(mind.world, [mind.world.place(each[:1]) for each in kept], [None] * 3)
    assert np.abs(bare.weights - enlarged.weights).max() > 1e-3


def test_known_command_gains_examples_under_any_spelling(household: Household) -> None:
    first, _, _ = household.enroll("Kitchen Lamp", TAKES[LAMP][:1], action="lamp")
    assert household.history()[0].change == "Kitchen Lamp: learned 1 example"
    second, _, _ = household.enroll(" KITCHEN LAMP ", TAKES[LAMP][1:])
    assert names(household) == ["Kitchen Lamp"]
    assert second.examples[:1] == first.examples
    assert len(second.examples) == 3
    assert second.action == "lamp"
    assert household.enroll("kitchen lamp", TAKES[LAMP], action="other")[0].action == "other"
    assert {version.change.split(":")[0] for version in household.history()} == {"Kitchen Lamp"}


def test_teaching_anew_keeps_only_the_new_examples_until_it_is_undone(mind: Mind, household: Household) -> None:
    before, _, _ = household.enroll(LAMP, TAKES[LAMP])
    heard, learned_before = matches(mind, household), heads(household)
    after, _, _ = household.enroll(LAMP, TAKES[MUSIC][:2], replace=True)
    assert heads(household)[LAMP] != learned_before[LAMP]
    assert not set(after.examples) & set(before.examples)
    assert len(after.examples) == 2
    assert household.history()[0].change == "kitchen lamp: taught anew from 2 examples"
    assert household.undo() == "undone: kitchen lamp: taught anew from 2 examples"
    assert heads(household) == learned_before
    assert matches(mind, household) == heard
    assert household.enroll("new", TAKES[MUSIC], replace=True)[0].name == "new"  # nothing to replace


def test_refused_takes_are_passed_over(household: Household) -> None:
    command, doubts, _ = household.enroll(LAMP, [REFUSED, *TAKES[LAMP][:2], REFUSED])
    assert len(command.examples) == 2
    assert doubts == ["", ""]


def test_where_no_take_could_be_used_nothing_changes(household: Household) -> None:
    household.enroll(LAMP, TAKES[LAMP])
    before = household.knowledge
    for name, takes in (("radio", [REFUSED]), ("radio", []), (LAMP, [REFUSED])):
        with pytest.raises(EnrolmentError, match=f"{name}: no example could be used, nothing was changed"):
            household.enroll(name, takes, replace=True)
    for name in ("", "x" * 300, "a\nb"):
        with pytest.raises(BadNameError):
            household.enroll(name, TAKES[LAMP])
    assert household.knowledge is before
    assert len(household.history()) == 1


def test_a_command_can_have_forty_examples_and_no_more(household: Household) -> None:
    many = TAKES[LAMP] * 13
    household.enroll(LAMP, many)
    household.enroll(LAMP, TAKES[LAMP][:1])
    assert len(known(household, LAMP).examples) == MOST_EXAMPLES
    with pytest.raises(EnrolmentError, match=r"kitchen lamp would have 41 examples, and 40 are possible"):
        household.enroll(LAMP, TAKES[LAMP][:1])
    with pytest.raises(EnrolmentError, match="would have 42 examples"):
        household.enroll("other", many + TAKES[LAMP])
    assert len(household.history()) == 2
    household.enroll(LAMP, TAKES[LAMP], replace=True)
    assert len(known(household, LAMP).examples) == 3


def test_people_who_are_named_have_heads_of_their_own(household: Household) -> None:
    household.enroll(LAMP, TAKES[LAMP][:2], who="Anna")
    assert known(household, LAMP).speakers == (None, None)
    household.enroll(LAMP, TAKES[LAMP][2:], who="Jörg")
    assert known(household, LAMP).speakers == ("Anna", "Anna", "Jörg")
    family = known(household, LAMP).heads
    assert (len(family.weights), len(family.bias)) == (3, 3)
    household.forget(LAMP)
    for own in (slice(0, 2), slice(2, 3)):
        alone = household.enroll(LAMP, TAKES[LAMP][own], replace=True)[0].heads
        assert np.array_equal(family.weights[own], alone.weights)
        assert np.array_equal(family.bias[own], alone.bias)


def test_teaching_another_command_leaves_heads_and_scores_of_the_others(mind: Mind, household: Household) -> None:
    household.enroll(LAMP, TAKES[LAMP])
    before, learned_before = matches(mind, household), heads(household)
    household.enroll(MUSIC, TAKES[MUSIC])
    household.enroll(NIGHT, TAKES[NIGHT])
    for one, many in zip(before, matches(mind, household), strict=True):
        assert many.scores[LAMP] == pytest.approx(one.score, abs=1e-6)
    assert heads(household)[LAMP] == learned_before[LAMP]
    household.forget(MUSIC)
    assert heads(household)[LAMP] == learned_before[LAMP]


def test_the_budget_is_for_the_whole_speaker(household: Household) -> None:
    alone = household.enroll(LAMP, TAKES[LAMP])[0]
    household.enroll(MUSIC, TAKES[MUSIC])
    household.enroll(NIGHT, TAKES[NIGHT])
    shared = known(household, LAMP)
    assert shared.threshold >= alone.threshold
    assert shared.examples == alone.examples
    assert shared.heads.to_bytes() == alone.heads.to_bytes()
    kept = [c for c in household.knowledge.commands if not c.over_budget]
    assert all(c.expected_fa_per_hour <= 1 / 4 / 3 + 1e-9 for c in kept)  # one a day, in four hours of talk


def test_whoever_listens_hears_of_every_change_and_of_nothing_else(household: Household) -> None:
    seen: list[int] = []
    household.changed = lambda: seen.append(household.knowledge.version)
    household.enroll(LAMP, TAKES[LAMP])
    household.rename(LAMP, "lamp")
    household.forget("lamp")
    household.undo()
    household.rollback(1)
    assert seen == [1, 2, 3, 4, 5]
    for fails in (
        lambda: household.forget("radio"),
        lambda: household.rename("radio", "tv"),
        lambda: household.rollback(9),
    ):
        with pytest.raises((EnrolmentError, StoreError)):
            fails()
    assert seen == [1, 2, 3, 4, 5]


# -- doubts


def test_example_unlike_those_of_before_is_kept_with_a_doubt(household: Household) -> None:
    household.enroll(NIGHT, TAKES[NIGHT])
    assert household.enroll(NIGHT, TAKES[MUSIC][:1])[1] != [""]
    assert len(known(household, NIGHT).examples) == 4


def test_an_example_can_be_let_go_of_and_comes_back(household: Household) -> None:
    command, *_ = household.enroll(LAMP, TAKES[LAMP])
    household.enroll(NIGHT, TAKES[NIGHT])
    less = household.discard(command.examples[1])
    assert less.examples == (command.examples[0], command.examples[2])
    assert less.threshold != command.threshold
    assert household.history()[0].change == f"{LAMP}: one example less"
    household.undo()
    again = household.knowledge.find(LAMP)
    assert again is not None
    assert again.heads.to_bytes() == command.heads.to_bytes()
    with pytest.raises(EnrolmentError, match="no command has an example 99"):
        household.discard(99)
    household.discard(command.examples[0])
    household.discard(command.examples[1])
    before = household.knowledge
    with pytest.raises(EnrolmentError, match=f"{LAMP} has only this example; forget the command"):
        household.discard(command.examples[2])
    assert household.knowledge is before


# -- confusable


def test_the_same_phrase_under_two_names_is_confusable(household: Household) -> None:
    household.enroll("one", TAKES[LAMP][:2])
    _, _, confusable = household.enroll("two", TAKES[LAMP][1:])
    assert confusable == ["one"]
    assert household.enroll("three", TAKES[NIGHT])[2] == []
    assert household.confusable()["one"] == ["two"]


def test_phrases_of_people_that_share_a_word_are_confusable(household: Household) -> None:
    household.enroll("Archie", people("archie", 4))
    household.enroll("trick or treat", people("trick_or_treat", 4))
    assert household.enroll("hey Archie", people("hey_archie", 4))[2] == ["Archie"]


def test_only_commands_that_sound_alike_are_told_apart(mind: Mind, household: Household, open_state: Open) -> None:
    household.enroll("archie", people("archie", 4))
    household.enroll("goodnight", people("goodnight", 3))
    before = heads(household)
    household.enroll("hey archie", people("hey_archie", 4))
    archie, hey = known(household, "archie"), known(household, "hey archie")
    for one, other in ((archie, hey), (hey, archie)):
        assert one.rivals in (other.examples, ()), "where it would cost too much, it is left"
    after = heads(household)
    assert after["goodnight"] == before["goodnight"] and known(household, "goodnight").rivals == ()
    assert (after["archie"] != before["archie"]) is bool(archie.rivals)
    household.forget("hey archie")
    assert heads(household) == heads(open_state()) == before, "it is as if the other had never been there"
    household.undo()
    assert heads(household) == after


def test_telling_apart_lowers_what_the_other_s_words_score(mind: Mind) -> None:
    spoken = {
        word: [
            mind.world.place(mind.encoder.embed(take.utterance))[None] for take in people(word, 18) if take.utterance
        ]
        for word in ("archie", "hey_archie")
    }
    others = np.concatenate(spoken["hey_archie"])
    alone, apart = (learned(mind.world, spoken["archie"][:4], [None] * 4, against)[0] for against in (None, others[:4]))
    near = mind.world.strangers(others[4:])
    assert scores(apart, others[4:], near).mean() < scores(alone, others[4:], near).mean() - 0.1


# -- forgetting, renaming


def test_forgotten_command_is_gone_until_that_is_undone(mind: Mind, household: Household, open_state: Open) -> None:
    household.enroll(LAMP, TAKES[LAMP])
    household.enroll(MUSIC, TAKES[MUSIC])
    before, heard, learned_before = household.knowledge, matches(mind, household), heads(household)
    household.forget("KITCHEN lamp")
    assert names(household) == names(open_state()) == [MUSIC]
    assert known(household, MUSIC).threshold <= before.commands[0].threshold  # the budget is its own again
    assert household.undo() == "undone: kitchen lamp: forgotten"
    assert household.knowledge.commands != ()
    assert heads(household) == heads(open_state()) == learned_before
    assert matches(mind, household) == heard  # to the last bit


def test_undo_and_rollback_bring_heads_back_to_the_last_bit(household: Household, open_state: Open) -> None:
    pile = [heads(household)]
    for name, takes in ((LAMP, TAKES[LAMP][:1]), (LAMP, TAKES[LAMP][1:]), (MUSIC, TAKES[MUSIC]), (LAMP, TAKES[LAMP])):
        household.enroll(name, takes)
        pile.append(heads(household))
    assert len({tuple(known.values()) for known in pile}) == len(pile)
    for version, expected in enumerate(pile[1:], 1):
        household.rollback(version)
        assert heads(household) == heads(open_state()) == expected
        household.undo()
    for expected in pile[-2::-1]:
        household.undo()
        assert heads(household) == heads(open_state()) == expected


def test_forgetting_what_is_not_known_says_what_is(household: Household) -> None:
    with pytest.raises(EnrolmentError, match=r"radio is not a known command\. Known: none yet"):
        household.forget("radio")
    household.enroll(LAMP, TAKES[LAMP])
    with pytest.raises(EnrolmentError, match=r"radio is not a known command\. Known: kitchen lamp"):
        household.forget("radio", erase=True)


@pytest.mark.parametrize("before", ["known", "forgotten", "renamed"])
def test_erased_command_leaves_no_trace(household: Household, tmp_path: Path, before: str) -> None:
    household.enroll(MUSIC, TAKES[MUSIC])
    household.enroll("Geheimnis", TAKES[LAMP], who="Zacharias")
    household.enroll("GEHEIMNIS", TAKES[LAMP], who="Zacharias")
    assert b"fLaC" in content(tmp_path)
    if before == "forgotten":
        household.forget("geheimnis")
    if before == "renamed":
        household.rename("Geheimnis", "Enigma")
    household.forget("Enigma" if before == "renamed" else "geheimnis", erase=True)
    for secret in (b"geheimnis", b"enigma", b"zacharias", TAKES[LAMP][0].source.encode()):
        assert secret not in content(tmp_path).lower()
    assert content(tmp_path).count(b"fLaC") == 3
    assert names(household) == [MUSIC]
    assert household.undo().startswith(f"undone: {MUSIC}: learned 3 examples (what was erased since")
    assert names(household) == []


def test_erased_is_forgotten_also_where_its_bytes_cannot_be_wiped_yet(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: Store) -> None:
        raise StoreError("the disk is full")

    household.enroll(LAMP, TAKES[LAMP])
    heard: list[list[str]] = []
    household.changed = lambda: heard.append(names(household))
    with monkeypatch.context() as patched:
        patched.setattr(Store, "compact", full)
        with pytest.raises(StoreError, match="the disk is full"):
            household.forget(LAMP, erase=True)
    assert heard == [[]], "whoever listens for it has been told"
    household.forget(LAMP, erase=True)  # finishes what was not done
    with pytest.raises(EnrolmentError, match="is not a known command"):
        household.forget(LAMP, erase=True)


def content(tmp_path: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())


def test_renamed_command_keeps_everything_else(mind: Mind, household: Household) -> None:
    before = household.enroll(LAMP, TAKES[LAMP], action="lamp")[0]
    heard = matches(mind, household)
    after = household.rename("Kitchen LAMP", " Küche 💡 ")
    assert after.name == "Küche 💡"
    for value in ("action", "threshold", "expected_fa_per_hour", "expected_frr", "over_budget", "examples", "speakers"):
        assert getattr(after, value) == getattr(before, value)
    assert [match.score for match in matches(mind, household)] == [match.score for match in heard]
    assert household.history()[0].change == "kitchen lamp: now called Küche 💡"
    assert household.rename("küche 💡", "KÜCHE 💡").name == "KÜCHE 💡"  # its own name, spelt otherwise


def test_a_name_that_is_taken_or_bad_is_refused(household: Household) -> None:
    household.enroll(LAMP, TAKES[LAMP])
    household.enroll(MUSIC, TAKES[MUSIC])
    with pytest.raises(EnrolmentError, match="MUSIK LEISER is a command already"):
        household.rename(LAMP, "MUSIK LEISER")
    with pytest.raises(EnrolmentError, match="radio is not a known command"):
        household.rename("radio", "tv")
    with pytest.raises(BadNameError):
        household.rename(LAMP, "\x07")
    assert names(household) == [MUSIC, LAMP]
    assert len(household.history()) == 2


# -- what is kept


def test_sound_is_not_kept_where_the_owner_does_not_want_it(open_state: Open, tmp_path: Path) -> None:
    household = open_state(Config(enrolment=Enrolment(keep_audio=False)))
    command = household.enroll(LAMP, TAKES[LAMP])[0]
    assert len(command.examples) == 3
    assert b"fLaC" not in content(tmp_path)
    assert len(content(tmp_path)) < 200_000
    assert open_state().enroll(MUSIC, TAKES[MUSIC])
    assert content(tmp_path).count(b"fLaC") == 3  # from now on it is


def test_changed_budget_moves_thresholds_in_a_version_of_its_own(household: Household) -> None:
    before = household.enroll(LAMP, TAKES[LAMP])[0]
    household.take_over(Config(listening=Listening(false_accepts_per_day=100)))
    loose = known(household, LAMP)
    assert loose.threshold < before.threshold
    assert household.history()[0].change == "thresholds for a new budget"
    household.take_over(Config(listening=Listening(false_accepts_per_day=100), enrolment=Enrolment(takes=5)))
    assert len(household.history()) == 2
    household.take_over(Config(listening=Listening(false_accepts_per_day=1e-6, highest_frr=0.05)))
    assert known(household, LAMP).over_budget
    assert known(household, LAMP).expected_frr == pytest.approx(0.05)


# -- several at once


def test_threads_that_teach_at_once_are_all_heard(household: Household) -> None:
    jobs = [(f"{name} {number}", TAKES[name]) for name in TAKES for number in range(3)]
    threads = [threading.Thread(target=household.enroll, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(names(household)) == {name for name, _ in jobs}
    assert len(household.history()) == len(jobs)


def test_two_who_have_the_state_open_do_not_undo_each_other_s_teaching(open_state: Open) -> None:
    one, two = open_state(), open_state()
    one.enroll(LAMP, TAKES[LAMP][:2])
    two.enroll(MUSIC, TAKES[MUSIC])
    assert names(two) == [MUSIC, LAMP]
    two.enroll(LAMP, TAKES[LAMP][2:])
    assert len(known(two, LAMP).examples) == 3
    one.enroll(NIGHT, TAKES[NIGHT])
    assert set(names(one)) == {MUSIC, NIGHT, LAMP}
    with pytest.raises(EnrolmentError, match="is a command already"):
        two.rename(LAMP, NIGHT)  # which two has not heard of
    with pytest.raises(EnrolmentError, match="would have 41 examples"):
        one.enroll(LAMP, (TAKES[LAMP] * 13)[:38])


# -- another encoder


@pytest.fixture
def other_mind(mind: Mind, tmp_path: Path) -> Mind:
    """The bundled models under another id, as a model update brings one."""
    folder = Path(shutil.copytree(BUNDLED, tmp_path / "models"))
    with np.load(folder / "sounds.npz") as file:
        sounds = dict(file)
    np.savez(folder / "sounds.npz", **sounds | {"mean": sounds["mean"] * np.float32(1.0001)})
    id = TrunkEncoder(folder).id
    adapt = folder / "adapt.onnx"
    adapt.write_bytes(adapt.read_bytes().replace(mind.encoder.id.encode(), id.encode()))
    with np.load(folder / "world.npz") as file:
        world = dict(file)
    np.savez(folder / "world.npz", **world | {"encoder": np.array(id)})
    return Mind.load(Config(recognition=Recognition(models=str(folder))))


def test_new_encoder_learns_from_kept_sound(
    mind: Mind, household: Household, open_state: Open, other_mind: Mind, tmp_path: Path
) -> None:
    for name in TAKES:
        household.enroll(name, TAKES[name], action="do", who="Anna")
    updated = open_state(mind=other_mind)
    assert updated.knowledge.encoder == other_mind.id != household.knowledge.encoder
    assert "derived again for the encoder" in updated.history()[0].change
    for before, after in zip(household.knowledge.commands, updated.knowledge.commands, strict=True):
        # The weights are the same here, so what was heard again must be, but for 16 bit.
        assert np.abs(after.heads.weights - before.heads.weights).max() < 0.02
        assert np.abs(after.heads.bias - before.heads.bias).max() < 0.02
        assert {each.shape for each in stored(other_mind, tmp_path, after)} == {(1 + VARIANTS, mind.encoder.dimension)}
        assert after.threshold == pytest.approx(before.threshold, abs=0.02)
        assert (after.name, after.action, after.examples) == (before.name, before.action, before.examples)
    version = updated.knowledge.version
    assert open_state(mind=other_mind).knowledge.version == version  # once is enough
    assert open_state(mind=other_mind).enroll(LAMP, TAKES[LAMP])[0].examples[:3] == known(household, LAMP).examples


def test_commands_without_sound_are_named_when_a_new_encoder_comes(
    open_state: Open, other_mind: Mind, caplog: pytest.LogCaptureFixture
) -> None:
    open_state(Config(enrolment=Enrolment(keep_audio=False))).enroll(LAMP, TAKES[LAMP])
    open_state(Config(enrolment=Enrolment(keep_audio=False))).enroll(MUSIC, TAKES[MUSIC])
    open_state().enroll(MUSIC, TAKES[MUSIC][:2])
    open_state().enroll(NIGHT, TAKES[NIGHT])
    updated = open_state(mind=other_mind)
    assert names(updated) == [MUSIC, NIGHT]
    assert updated.history()[0].change.endswith("without audio, to be taught again: kitchen lamp")
    assert len(known(updated, MUSIC).examples) == 2  # those that could be heard again
    assert "to be taught again: kitchen lamp" in caplog.text
    back = open_state()
    back.rollback(4)
    assert names(back) == [MUSIC, NIGHT, LAMP]  # nothing was lost to the encoder before


def test_undo_goes_back_past_a_new_encoder(household: Household, open_state: Open, other_mind: Mind) -> None:
    for name in TAKES:
        household.enroll(name, TAKES[name])
    updated = open_state(mind=other_mind)
    for name, left in ((NIGHT, [MUSIC, LAMP]), (MUSIC, [LAMP]), (LAMP, [])):
        assert updated.undo() == f"undone: {name}: learned 3 examples"
        assert set(names(updated)) == set(left)
        assert updated.knowledge.encoder == other_mind.id
        assert open_state(mind=other_mind).knowledge.version == updated.knowledge.version
    with pytest.raises(StoreError, match="nothing to undo"):
        updated.undo()


def test_rollback_to_what_another_encoder_knew(household: Household, open_state: Open, other_mind: Mind) -> None:
    household.enroll(LAMP, TAKES[LAMP])
    household.enroll(MUSIC, TAKES[MUSIC])
    updated = open_state(mind=other_mind)
    updated.rollback(1)
    assert names(updated) == [LAMP]
    assert updated.knowledge.encoder == other_mind.id
    assert updated.undo() == "undone: back to version 1"
    assert set(names(updated)) == {LAMP, MUSIC}


def test_other_world_of_the_same_encoder_derives_everything_again(mind: Mind, open_state: Open) -> None:
    household = open_state()
    household.enroll(LAMP, TAKES[LAMP])
    world = mind.world
    turned = replace(world, matrix=world.matrix[:, ::-1].copy(), cohort=world.cohort[:, ::-1].copy())
    other = open_state(mind=Mind(mind.encoder, turned))
    assert "derived again" in other.history()[0].change
    before, after = known(household, LAMP).heads, known(other, LAMP).heads
    assert after.weights == pytest.approx(before.weights[:, ::-1], abs=1e-5)
    assert after.bias == pytest.approx(before.bias, abs=1e-5)


def test_other_head_of_the_same_encoder_derives_everything_again(mind: Mind, open_state: Open, tmp_path: Path) -> None:
    household = open_state()
    household.enroll(LAMP, TAKES[LAMP])
    model = onnx.load(BUNDLED / "adapt.onnx")
    model.producer_version = "another"
    onnx.save(model, tmp_path / "adapt.onnx")
    head = Adapter(tmp_path / "adapt.onnx", mind.encoder.id)
    other = open_state(mind=Mind(mind.encoder, replace(mind.world, adapter=head)))
    assert "derived again" in other.history()[0].change
    assert heads(other) == heads(household)  # by the same steps, in truth
    assert open_state(mind=mind).knowledge.version > other.knowledge.version


def test_state_of_before_heads_is_learned_again_from_sound_where_there_is_some(
    mind: Mind, household: Household, open_state: Open, tmp_path: Path
) -> None:
    household.enroll(LAMP, TAKES[LAMP], action="lamp")
    household.enroll(MUSIC, TAKES[MUSIC][:2], who="Anna")
    household.enroll(MUSIC, TAKES[MUSIC][2:], who="Jörg")
    silent = Config(enrolment=Enrolment(keep_audio=False))
    open_state(silent).enroll(NIGHT, TAKES[NIGHT])
    before = open_state().knowledge
    as_before(tmp_path / "state")
    now = open_state()
    assert now.history()[0].change == f"derived again for the encoder {mind.encoder.name}"
    assert now.knowledge.encoder == mind.id
    for old, new in zip(before.commands, now.knowledge.commands, strict=True):
        assert (new.name, new.action, new.examples, new.speakers) == (old.name, old.action, old.examples, old.speakers)
        rows = {len(vectors) for vectors in stored(mind, tmp_path, new)}
        if new.name == NIGHT:  # without sound there are the examples themselves, and nothing to enlarge them by
            assert rows == {1}
            alone = [mind.world.place(vectors) for vectors in stored(mind, tmp_path, new)]
            assert new.heads.to_bytes() == learned(mind.world, alone, [None] * 3)[0].to_bytes()
        else:  # heard again, but for 16 bit
            assert rows == {1 + VARIANTS}
            assert np.abs(new.heads.weights - old.heads.weights).max() < 0.02
            assert np.abs(new.heads.bias - old.heads.bias).max() < 0.02
    version = now.knowledge.version
    assert open_state().knowledge.version == version, "once is enough"
    assert now.undo() == f"undone: {NIGHT}: learned 3 examples"
    assert set(names(now)) == {LAMP, MUSIC}
    assert {command.heads.weights.shape[1] for command in now.knowledge.commands} == {mind.encoder.pooled}


def test_budget_changed_while_nothing_ran_is_kept_from_the_start(open_state: Open) -> None:
    household = open_state()
    household.enroll(LAMP, TAKES[LAMP])
    household.keep_promises()
    assert len(household.history()) == 1, "nothing had changed"
    later = open_state(Config(listening=Listening(false_accepts_per_day=900.0)))
    later.keep_promises()
    assert known(later, LAMP).threshold < known(household, LAMP).threshold
