"""Eight builds at once: in eight folders with one cold cache, and in one folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from .figures import Figure
from .world import World, fresh_project, results, start

MANY = 8


def on_one_cache(world: World) -> Figure:
    """Eight projects, one cache that is empty at first."""
    figure = Figure("eight builds at once on one cold cache")
    shutil.rmtree(world.cache, ignore_errors=True)
    folders = [fresh_project(world, world.folder / f"crowd{number}") for number in range(MANY)]
    _judge(figure, world, folders, "wheel")
    return figure


def in_one_folder(world: World) -> Figure:
    """One project, built eight times at once."""
    figure = Figure("eight builds at once in one folder")
    _judge(figure, world, [fresh_project(world)] * MANY, "run")
    return figure


def _judge(figure: Figure, world: World, folders: list[Path], command: str) -> None:
    began = time.monotonic()
    logs = [world.folder / f"crowd{number}.log" for number in range(len(folders))]
    children = [start(world, command, log, folder) for log, folder in zip(logs, folders)]
    for child, log in zip(children, logs):
        child.wait()
        failure = f"exit code {child.returncode}: {log.read_text()[-600:]}" if child.returncode else None
        figure.add(failure, time.monotonic() - began)
    made = [results(command, folder) for folder in dict.fromkeys(folders)]
    if any(one != made[0] for one in made):
        figure.failures.append("they made different files")
    waited = [log for log in logs if "-- waiting for " in log.read_text()]
    if len(set(folders)) == 1 and not waited:
        figure.failures.append("nobody was told to wait")
