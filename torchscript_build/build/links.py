"""Takes links out of an install tree: a wheel holds none, and neither does everything that packages are made of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torchscript_build import log

WORTH_A_LINE = 1_000_000
"""Bytes of copies that somebody may want to do without."""


def replace_links(folder: Path, prefix: Path) -> None:
    """Put what they lead to in the place of all links below a folder.

    One that leads nowhere, or to a folder outside, is left out with a line.

    :param prefix: where the folder lay when the links were made; absolute ones may lead there.
    """
    links = [
        Path(where, name)
        for where, folders, files in os.walk(folder)
        for name in (*folders, *files)
        if os.path.islink(os.path.join(where, name))
    ]
    for link in links:
        target = Path(os.readlink(link))
        if prefix in target.parents:
            link.unlink()
            link.symlink_to(folder / target.relative_to(prefix))
    copied = []
    top = Path(os.path.realpath(folder))
    for link in sorted(links, key=os.path.isdir):  # first those that a folder's copy may hold
        real = Path(os.path.realpath(link))
        link.unlink()
        if real.is_file():
            shutil.copy2(real, link)
            copied.append(link)
        elif real.is_dir() and top in real.parents and real not in link.parents:
            shutil.copytree(real, link, ignore_dangling_symlinks=True)
        else:
            log.warn(f"{link.relative_to(folder)} is installed as a link that leads to nothing of it: it is left out")
    size = sum(link.stat().st_size for link in copied)
    if size >= WORTH_A_LINE:
        names = ", ".join(sorted(link.relative_to(folder).as_posix() for link in copied))
        log.say(f"-- {names}: links, which no package has, become copies of {size / 1e6:.0f} MB; include = […] chooses")
