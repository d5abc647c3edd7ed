"""`bidwitness lock-test`, as somebody at a terminal has it."""

from pathlib import Path

import pytest
from support.clock import FakeClock
from support.seaweed import Seaweed

from bidwitness.config import load_settings
from bidwitness.errors import ConfigError
from bidwitness.storage.commands import lock_test
from bidwitness.storage.keep.lock_test_command import run_lock_test


def test_a_folder_passes_and_is_told_for_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_lock_test(load_settings(data=tmp_path), 2)
    said = capsys.readouterr().out
    assert "by this program alone" in said
    assert "FAILED" not in said
    assert said.count("ok    ") == 9


def test_a_bucket_without_object_lock_is_refused(
    seaweed: Seaweed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seaweed.client().make_bucket("lock-test-none")
    settings = seaweed.settings("lock-test-none")
    with pytest.raises(ConfigError):
        run_lock_test(settings, 2, FakeClock())
    assert "FAILED object_lock" in capsys.readouterr().out
    monkeypatch.setattr("bidwitness.storage.commands.load_settings", lambda: settings)
    with pytest.raises(ConfigError):
        lock_test(2)
