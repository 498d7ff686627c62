"""Takes links out of an install tree: a wheel holds none, and neither does everything that packages are made of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torchscript_build import log


def replace_links(folder: Path, prefix: Path) -> None:
    """Put what they lead to in the place of all links below a folder.

    One that leads nowhere is left out, with a line.

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
    for link in sorted(links, key=os.path.isdir):  # first those that a folder's copy may hold
        real = Path(os.path.realpath(link))
        link.unlink()
        if real.is_file():
            shutil.copy2(real, link)
        elif real.is_dir() and real not in link.parents:
            shutil.copytree(real, link, ignore_dangling_symlinks=True)
        else:
            log.warn(f"{link.relative_to(folder)} is installed as a link that leads nowhere: it is left out")
