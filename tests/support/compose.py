"""Read docker-compose.yml as its engine would, and turn its services into processes of ours."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from support.database import free_port
from support.needs import absent

ROOT = Path(__file__).resolve().parent.parent.parent
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?::\?(?P<message>[^}]*))?\}")


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Give the compose file with its variables filled in. Raises ``KeyError`` for a missing one."""
    text = (ROOT / "docker-compose.yml").read_text()
    filled = _VARIABLE.sub(lambda match: variables[match["name"]], text)
    compose: dict[str, Any] = yaml.safe_load(filled)
    return compose


def processes(compose: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Give the command of each service that is one of our processes."""
    ours = {n: s for n, s in compose["services"].items() if s.get("image") == "bidwitness"}
    return {n: (sys.executable, "-m", "bidwitness", *s["command"]) for n, s in ours.items()}


def environment(
    compose: Mapping[str, Any], service: str, places: Mapping[str, str]
) -> dict[str, str]:
    """Give a service's settings, with what only holds inside its network replaced by ``places``."""
    settings = {k: str(v) for k, v in compose["services"][service]["environment"].items()}
    return {name: _placed(value, places) for name, value in settings.items()}


def _placed(value: str, places: Mapping[str, str]) -> str:
    for inside, outside in places.items():
        value = value.replace(inside, outside)
    return value


@contextmanager
def running_redis(folder: Path) -> Iterator[int]:
    """Start a Redis of our own on loopback; give its port."""
    program = shutil.which("redis-server")
    if program is None:
        absent("redis-server (make system)")
        raise AssertionError("absent() did not end the test")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen([*words, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def seaweed_command(
    compose: Mapping[str, Any], program: str, folder: Path, port: int
) -> tuple[list[str], dict[str, str]]:
    """Give the store's own command and keys, on loopback and on ports that are free."""
    service = compose["services"]["seaweedfs"]
    inside = {"-dir=/data": f"-dir={folder}", "-ip=seaweedfs": "-ip=127.0.0.1"}
    words = [inside.get(word, word) for word in service["command"]]
    words = [f"-s3.port={port}" if word.startswith("-s3.port=") else word for word in words]
    names = ("master", "volume", "filer")
    http = [f"-{name}.port={free_port()}" for name in names]
    grpc = [f"-{name}.port.grpc={free_port()}" for name in (*names, "s3")]
    return [program, *words, "-ip.bind=127.0.0.1", *http, *grpc], service["environment"]
