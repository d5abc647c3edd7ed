"""The compose file is true: its services are ours, and its very commands record a session.

No engine runs here, so its processes are started as processes, with its settings, beside a real
PostgreSQL, Redis and SeaweedFS.
"""

import re
from pathlib import Path

import pytest
from support.compose import ROOT, processes, read_compose

from bidwitness.serve import PROCESSES

VARIABLES = {
    "BIDWITNESS_DB_PASSWORD": "db-pass",
    "BIDWITNESS_S3_ACCESS_KEY": "compose-key",
    "BIDWITNESS_S3_SECRET_KEY": "compose-secret",
}


def test_every_process_is_a_service_and_every_command_exists() -> None:
    compose = read_compose(VARIABLES)
    assert set(processes(compose)) == set(PROCESSES)
    for name, service in compose["services"].items():
        if name in PROCESSES:
            assert service["command"] == [name]
            assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
            assert set(service["depends_on"]) <= set(compose["services"])


def test_nothing_listens_beyond_the_host_and_no_secret_is_in_the_file() -> None:
    compose = read_compose(VARIABLES)
    published = {n: s["ports"] for n, s in compose["services"].items() if "ports" in s}
    assert published == {"api": ["127.0.0.1:8470:8470"]}
    for variable in VARIABLES:
        missing = {name: value for name, value in VARIABLES.items() if name != variable}
        with pytest.raises(KeyError, match=variable):
            read_compose(missing)


def test_every_volume_is_declared() -> None:
    compose = read_compose(VARIABLES)
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", ())
    }
    assert used == set(compose["volumes"])


def test_the_image_copies_every_folder_it_installs() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+) \1$", recipe, re.MULTILINE))
    folders = {path.parent.name for path in ROOT.glob("*/commands.py")} | {"bidwitness"}
    assert folders <= copied
    assert all((Path(ROOT) / name).is_dir() for name in copied)
