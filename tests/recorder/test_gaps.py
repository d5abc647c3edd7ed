"""One interval without footage and its cause."""

from bidwitness.recorder.gaps import SILENCE_US, SLICE_US, GapKeeper, Silence
from bidwitness.recorder.values import ALL, SOUND, GapNote
from bidwitness.words import GapCause

S = 1_000_000


def test_a_gap_reaches_from_the_end_to_the_new_beginning() -> None:
    keeper = GapKeeper()
    assert keeper.resumed(5 * S) is None
    keeper.ended(10 * S, GapCause.NETWORK, "broke off")
    keeper.ended(11 * S, GapCause.STALL)
    assert keeper.resumed(12 * S) == GapNote(GapCause.NETWORK, ALL, 10 * S, 12 * S, "broke off")
    assert keeper.cause is None and keeper.resumed(13 * S) is None


def test_a_camera_that_cannot_be_reached_again_is_offline_since_it_broke_off() -> None:
    keeper = GapKeeper()
    keeper.ended(10 * S, GapCause.STALL)
    assert keeper.not_connected(11 * S, "does not answer") is None
    assert keeper.not_connected(12 * S, "does not answer") is None
    assert keeper.resumed(20 * S) == GapNote(
        GapCause.OFFLINE, ALL, 10 * S, 20 * S, "does not answer"
    )


def test_what_the_recorder_itself_missed_stays_its_own() -> None:
    keeper = GapKeeper()
    keeper.ended(10 * S, GapCause.RECORDER_DOWN)
    first = keeper.not_connected(30 * S, "does not answer")
    assert first == GapNote(GapCause.RECORDER_DOWN, ALL, 10 * S, 30 * S)
    second = keeper.resumed(40 * S)
    assert second == GapNote(GapCause.OFFLINE, ALL, 30 * S, 40 * S, "does not answer")


def test_a_camera_never_reached_is_missing_since_the_first_attempt() -> None:
    keeper = GapKeeper()
    assert keeper.not_connected(5 * S, "does not answer") is None
    assert keeper.resumed(9 * S) == GapNote(GapCause.OFFLINE, ALL, 5 * S, 9 * S, "does not answer")


def test_a_long_gap_is_stated_in_pieces() -> None:
    keeper = GapKeeper()
    keeper.ended(0, GapCause.NETWORK)
    assert keeper.tick(SLICE_US - 1) is None
    assert keeper.tick(SLICE_US) == GapNote(GapCause.NETWORK, ALL, 0, SLICE_US)
    assert keeper.resumed(SLICE_US + S) == GapNote(GapCause.NETWORK, ALL, SLICE_US, SLICE_US + S)


def test_a_clock_that_went_back_makes_no_gap() -> None:
    keeper = GapKeeper()
    keeper.ended(10 * S, GapCause.CLOCK)
    assert keeper.resumed(4 * S) is None


def test_sound_that_is_a_little_late_is_not_missing() -> None:
    silence = Silence(wanted=True)
    silence.begin(10 * S)
    assert silence.before(10 * S + SILENCE_US) is None
    silence.heard(13 * S)
    assert silence.before(14 * S) is None and not silence.silent


def test_silence_is_stated_while_it_lasts_and_to_its_end() -> None:
    silence = Silence(wanted=True)
    silence.begin(10 * S)
    silence.heard(11 * S)
    assert silence.before(20 * S) == GapNote(GapCause.NO_AUDIO, SOUND, 11 * S, 20 * S)
    assert silence.silent
    assert silence.before(21 * S) == GapNote(GapCause.NO_AUDIO, SOUND, 20 * S, 21 * S)
    silence.heard(22 * S)
    assert not silence.silent


def test_sound_that_nobody_wants_is_not_missing() -> None:
    silence = Silence(wanted=False)
    silence.begin(10 * S)
    assert silence.before(99 * S) is None
