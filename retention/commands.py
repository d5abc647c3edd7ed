"""Commands of this folder, found by the entry-point group ``bidwitness.commands``."""

import socket

import typer

from bidwitness.config import load_settings

app = typer.Typer()


@app.command()
def work() -> None:
    """Run jobs and sweeps, as many at a time as BIDWITNESS_WORK_THREADS says."""
    # Here: Celery takes long to import.
    from bidwitness.celery import QUEUE, hush, make_app

    settings = load_settings()
    hush()
    worker = make_app(settings).Worker(
        hostname=f"bidwitness@{socket.gethostname()}",
        # Threads: a job's row outlives a worker that dies, whatever the pool.
        pool="threads",
        concurrency=settings.work_threads,
        queues=[QUEUE],
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    raise typer.Exit(worker.exitcode or 0)


@app.command()
def beat() -> None:
    """Have the sweep run on time, and due jobs hinted at again."""
    from bidwitness.celery import hush, make_app

    settings = load_settings()
    hush()
    make_app(settings).Beat(loglevel=settings.log_level.upper(), quiet=True).run()
