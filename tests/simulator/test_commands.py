"""``bidwitness simulate`` as a process: its line of JSON, its ends, its errors."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.simulator import CACHE, running_simulator, small_camera
from support.wait import wait_until

SIMULATE = [sys.executable, "-m", "bidwitness", "simulate"]


def test_it_prints_every_address_and_ends_cleanly_with_viewers() -> None:
    with running_simulator([small_camera("plain")]) as simulator:
        (camera,) = simulator.ready["cameras"]
        assert camera["name"] == "plain"
        for role in ("main", "sub"):
            url = camera["streams"][role]
            assert url.startswith("rtsp://127.0.0.1:") and url.endswith(f"/plain/{role}")
        port = int(url.split(":")[2].split("/")[0])
        viewer = socket.create_connection(("127.0.0.1", port))
        assert simulator.status()["connections"] == 1
    # running_simulator() asserts exit code 0.
    with viewer:
        assert viewer.recv(1) == b""


def catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_can_be_stopped_while_it_encodes(tmp_path: Path, number: signal.Signals) -> None:
    command = [*SIMULATE, "--cameras", "4", "--port", "0", "--codec", "h265", "--cache", tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: catches_sigterm(process.pid), 20, "the process to listen to signals")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, ""), err


def test_it_does_not_outlive_whoever_started_it(tmp_path: Path) -> None:
    spec = tmp_path / "one.json"
    spec.write_text(json.dumps([{"name": "a", "width": 160, "height": 160}]))
    command = [*SIMULATE, "--spec", spec, "--port", "0", "--cache", CACHE, "--while-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--gop", "99"], 64, "gop_seconds"),
        (["--spec", "/nonexistent.json"], 64, "cannot be read"),
    ],
)
def test_a_wrong_option_is_one_line(options: list[str], code: int, said: str) -> None:
    done = subprocess.run([*SIMULATE, *options], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr and "Traceback" not in done.stderr


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    spec = tmp_path / "one.json"
    spec.write_text(json.dumps([{"name": "a", "width": 160, "height": 160}]))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*SIMULATE, "--spec", str(spec), "--port", port, "--cache", str(CACHE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 75
    assert "cannot listen" in done.stderr and "Traceback" not in done.stderr
