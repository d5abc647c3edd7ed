"""Settings come from the environment and a file, and say what is wrong with them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bidwitness.config import load_settings
from bidwitness.errors import ConfigError


def test_urls_point_into_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BIDWITNESS_DATA", str(tmp_path))
    settings = load_settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/index.db"
    assert settings.store_url == f"file://{tmp_path}/store"
    assert settings.broker_url == f"filesystem://{tmp_path}/broker"


def test_the_environment_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "b.toml"
    file.write_text('port = 9000\nsite = "from-file"\n')
    monkeypatch.setenv("BIDWITNESS_CONFIG", str(file))
    monkeypatch.setenv("BIDWITNESS_PORT", "9001")
    settings = load_settings()
    assert (settings.port, settings.site) == (9001, "from-file")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("PORT", "70000", "less than or equal to 65535"),
        ("STORE", "ftp://x", "file://, s3://"),
        ("DATABASE", "mysql://x", "sqlite://, postgresql"),
        ("BROKER", "amqp://x", "filesystem://, redis://"),
        ("UNDO_SECONDS", "-1", "greater than or equal to 0"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("SITE", "../elsewhere", "the first a letter or digit"),
        ("RECORDER", "评标室", "use 1 to 64 of A-Z a-z 0-9"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(f"BIDWITNESS_{name}", value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert f"BIDWITNESS_{name}" in refused.value.fields
    assert hint in refused.value.detail


@pytest.mark.parametrize("text", ["port = ", "unknown_setting = 1\n"])
def test_a_wrong_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "b.toml"
    file.write_text(text)
    monkeypatch.setenv("BIDWITNESS_CONFIG", str(file))
    with pytest.raises(ConfigError):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]  # that it is refused is the test
