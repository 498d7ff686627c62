"""The names of torch's builds: which to ask for where the one that is there has CUDA, or none, or another one."""

from __future__ import annotations

from typing import Union

PYPI_CUDA = (
    ((1, 8), "10.2"),
    ((1, 13), "11.7"),
    ((2, 1), "12.1"),
    ((2, 5), "12.4"),
    ((2, 7), "12.6"),
    ((2, 8), "12.8"),
    ((2, 11), "13.0"),
    ((2, 15), "13.2"),
)
"""The CUDA of the default build for Linux x86_64, from each series on (the wheels' metadata)."""


def variant_tag(version: str, cuda: Union[str, bool]) -> str:
    """The local part of a build's version: ``"cpu"``, ``"cu124"``.

    :param version: a release, ``"2.6.0"``.
    :param cuda: ``False``; ``True``: the default build's CUDA; ``"12.4"``; ``"12"``, of which the default build's minor
        version is taken where it is of that series, else it stays open: ``"cu12…"``.
    """
    if cuda is False:
        return "cpu"
    numbers = tuple(int(part) for part in version.split(".")[:2])
    default = next((c for since, c in reversed(PYPI_CUDA) if since <= numbers), PYPI_CUDA[0][1])
    wanted = default if cuda is True or default.split(".")[0] == cuda else str(cuda)
    return "cu" + wanted.replace(".", "") + ("" if "." in wanted else "…")


def pip_cure(version: str, cuda: Union[str, bool]) -> str:
    """A command for pip that puts another build in the place of an installed torch."""
    tag = variant_tag(version, cuda)
    name = f"torch=={version}+{tag}"
    return f"pip install --force-reinstall '{name}' --index-url URL   (PyTorch's index of builds for {tag})"
