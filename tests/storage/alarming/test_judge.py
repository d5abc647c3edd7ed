"""Which alarms a status calls for: decided from values alone."""

import pytest

from bidwitness.storage.alarming.judge import (
    ALARM_AFTER_US,
    Finding,
    Reported,
    WatchedStream,
    effective,
    judge,
)
from bidwitness.words import GapCause, Health, StreamAlarm, StreamFault, StreamRole

NOW = 1_700_000_000_000_000
SECOND = 1_000_000


def found(reported: Reported | None, missing_s: float = 60) -> dict[str, Finding]:
    stream = WatchedStream("s1", StreamRole.MAIN, "门口", "r1", "评标室一", reported)
    return {f.kind: f for f in judge(stream, NOW, int(missing_s * SECOND))}


def says(state: Health, cause: GapCause | None = None, **more: object) -> Reported:
    values: dict[str, object] = {"state": state, "cause": cause, "at_us": NOW - SECOND, **more}
    return Reported(**values)  # type: ignore[arg-type]  # named by each test


def stands(reported: Reported | None, missing_s: float = 60) -> dict[str, bool]:
    return {kind: finding.stands for kind, finding in found(reported, missing_s).items()}


@pytest.mark.parametrize("state", [Health.STALLED, Health.OFFLINE])
def test_what_does_not_come_is_alarmed_with_its_cause_after_a_while(state: Health) -> None:
    reported = says(state, GapCause.STALL)
    assert found(reported, 5.9) == {}
    finding = found(reported, ALARM_AFTER_US / SECOND)["not_recording"]
    assert finding.stands
    assert finding.facts == {
        "camera": "门口",
        "room": "评标室一",
        "role": "main",
        "cause": "stall",
    }


def test_a_recorder_that_says_nothing_any_more_is_down() -> None:
    silent = Reported(Health.OK, None, NOW - 6 * SECOND)
    assert effective(silent, NOW) == (Health.OFFLINE, GapCause.RECORDER_DOWN)
    assert found(silent)["not_recording"].facts["cause"] == "recorder_down"
    assert found(None)["not_recording"].facts["cause"] == "recorder_down"


@pytest.mark.parametrize("cause", [GapCause.CLASSIFIED, GapCause.MAINTENANCE])
def test_what_is_not_recorded_by_decision_is_no_alarm(cause: GapCause) -> None:
    assert stands(says(Health.OFFLINE, cause)) == {"not_recording": False}


def test_while_nothing_comes_no_other_alarm_is_raised_or_cleared() -> None:
    verdicts = {StreamFault.LONG_GOP: False, StreamFault.SILENT: True}
    reported = says(Health.STALLED, GapCause.STALL, verdicts=verdicts)
    assert set(found(reported)) == {"not_recording"}


def test_what_is_not_known_changes_nothing() -> None:
    assert stands(says(Health.OK)) == {"not_recording": False}
    assert stands(says(Health.OK, verdicts={StreamFault.CLOCK_OFFSET: False})) == {
        "not_recording": False,
        "clock_offset": False,
    }


def test_each_fault_has_its_alarm_with_its_figure() -> None:
    verdicts = dict.fromkeys(StreamFault, True)
    figures = {"centi_fps": 900, "gop_ms": 10_000, "clock_us": 90 * SECOND, "centi_dbfs": -9000}
    figures["loss_ppm"] = 5000
    findings = found(says(Health.DEGRADED, verdicts=verdicts, **figures))
    assert {kind for kind, f in findings.items() if f.stands} == set(StreamAlarm) - {
        "not_recording"
    }
    assert findings["long_gop"].facts["gop_ms"] == 10_000
    assert findings["clock_offset"].facts["clock_us"] == 90 * SECOND
    assert findings["low_frame_rate"].facts["centi_fps"] == 900
    assert findings["packet_loss"].facts["loss_ppm"] == 5000
    assert findings["no_sound"].facts["cause"] == "silent"


def test_sound_that_does_not_come_and_sound_that_says_nothing_are_one_alarm() -> None:
    missing = says(Health.DEGRADED, GapCause.NO_AUDIO, verdicts={StreamFault.SILENT: False})
    assert found(missing)["no_sound"].facts["cause"] == "no_audio"
    assert stands(missing)["no_sound"]
    assert not stands(says(Health.OK, verdicts={StreamFault.SILENT: False}))["no_sound"]
