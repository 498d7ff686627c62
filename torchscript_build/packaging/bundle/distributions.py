"""Which distributions have which glibc, so that a number means something to whoever hands a bundle over."""

from __future__ import annotations

FIRST: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Debian", (("2.28", "10"), ("2.31", "11"), ("2.36", "12"), ("2.41", "13"))),
    ("Ubuntu", (("2.27", "18.04"), ("2.31", "20.04"), ("2.35", "22.04"), ("2.39", "24.04"))),
    ("RHEL", (("2.17", "7"), ("2.28", "8"), ("2.34", "9"), ("2.39", "10"))),
)
"""Distribution → pairs (glibc, release), oldest first (their package indexes, RHEL's release notes)."""


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared."""
    return tuple(int(part) for part in version.split("."))


def with_glibc(version: str) -> tuple[str, ...]:
    """The first release of each distribution that has this glibc or a newer one: ``("Debian 12", …)``."""
    found = []
    for name, releases in FIRST:
        first = next((release for glibc, release in releases if numbers(glibc) >= numbers(version)), None)
        if first is not None:
            found.append(f"{name} {first}")
    return tuple(found)


def in_words(version: str) -> str:
    """A glibc and who has it: ``glibc 2.34 or newer (Debian 12, Ubuntu 22.04, RHEL 9)``."""
    found = with_glibc(version)
    return f"glibc {version} or newer" + (f" ({', '.join(found)})" if found else "")
