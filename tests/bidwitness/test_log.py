"""No credential reaches a log line."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.log import JsonFormatter, host_of, redact

SECRET = "s3cr@t:/#密码"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot open rtsp://admin:{SECRET}@10.0.0.5:554/main",
        f"postgresql+psycopg://user:{SECRET}@db/x",
        "password=hunter2",
        '{"password": "hunter2"}',
        "Authorization: Bearer hunter2",
        "/play/x/index.m3u8?ticket=hunter2&a=1",
    ],
)
def test_secrets_go(text: str) -> None:
    cleaned = redact(text)
    assert "s3cr" not in cleaned
    assert "密码" not in cleaned
    assert "hunter2" not in cleaned
    assert "***" in cleaned


def test_what_is_no_secret_stays() -> None:
    assert redact("rtsp://10.0.0.5:554/main stalled") == "rtsp://10.0.0.5:554/main stalled"
    assert host_of("rtsp://u:p@10.0.0.5:554/main") == "10.0.0.5"


@given(st.text(st.characters(blacklist_categories=("Cs", "Z", "C"), blacklist_characters="\"'<>")))
def test_no_password_survives_in_an_address(password: str) -> None:
    text = redact(f"opening rtsp://camera:pw{password}@host/x now")
    assert text == "opening rtsp://***@host/x now"


def test_a_line_is_one_json_object_with_its_facts() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "at rtsp://a:b@h/%s", ("q",), None)
    record.facts = {"url": "rtsp://a:b@h/", "count": 3}
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "at rtsp://***@h/q"
    assert line["url"] == "rtsp://***@h/"
    assert line["count"] == 3
