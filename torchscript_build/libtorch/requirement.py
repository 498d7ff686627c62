"""What a project asks of its libtorch: a range of versions, an ABI, a CUDA series."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Optional, Union

from torchscript_build.errors import SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.records import dataclass

Cuda = Union[str, bool, None]

NO_CUDA = ("none", "cpu", "false", "off", "no")
ANY_CUDA = ("any", "true", "on", "yes")


@dataclass(frozen=True)
class Requirement:
    """What a libtorch must be; a field that is ``None`` asks nothing.

    Make it with ``Requirement.of`` or ``from_mapping``, which check and normalize.
    """

    version: Optional[str] = None
    """A PEP 440 specifier set (``">=2.4,<2.7"``), or a version: ``"2.13"`` is any 2.13.x, ``"2.13.0"`` just that."""
    cxx11_abi: Optional[bool] = None
    """libstdc++'s new ABI (true) or the old one (false); nothing to ask on macOS and Windows."""
    cuda: Cuda = None
    """True: any CUDA build; false: no CUDA; ``"12"`` or ``"12.4"``: that CUDA series."""

    @classmethod
    def of(cls, *, version: Optional[str] = None, cxx11_abi: Optional[bool] = None, cuda: Cuda = None) -> Requirement:
        """A checked requirement.

        :raises SettingsError: a value means nothing.
        """
        return cls.from_mapping({"version": version, "cxx11-abi": cxx11_abi, "cuda": cuda})

    @classmethod
    def from_mapping(cls, settings: Mapping[str, object]) -> Requirement:
        """The requirement in settings with the keys ``version``, ``cxx11-abi`` and ``cuda``.

        :raises SettingsError: with every problem.
        """
        problems = []
        version, cxx11_abi, cuda = (settings.get(key) for key in ("version", "cxx11-abi", "cuda"))
        unknown = sorted(set(settings) - {"version", "cxx11-abi", "cuda"})
        problems += [f"libtorch.{key}: unknown; there are version, cxx11-abi and cuda" for key in unknown]
        if version is not None and not (isinstance(version, str) and _is_specifier(version)):
            problems.append(f"libtorch.version: {version!r} is no version or specifier; write 2.6 or >=2.4,<2.7")
        if cxx11_abi is not None and not isinstance(cxx11_abi, bool):
            problems.append(f"libtorch.cxx11-abi: {cxx11_abi!r} is neither true nor false")
        try:
            series = parse_cuda(cuda)
        except ValueError:
            problems.append(f"libtorch.cuda: {cuda!r} is neither true, false nor a CUDA series like 12 or 12.4")
        if problems:
            raise SettingsError(problems)
        return cls(
            version.strip() if isinstance(version, str) else None,
            cxx11_abi if isinstance(cxx11_abi, bool) else None,
            series,
        )

    def describe(self) -> str:
        """In words: ``"2.6 with CUDA 12 and the new cxx11 ABI"``; empty where nothing is asked."""
        extras = []
        if self.cuda is not None:
            extras.append({"True": "CUDA", "False": "no CUDA"}.get(str(self.cuda)) or f"CUDA {self.cuda}")
        if self.cxx11_abi is not None:
            extras.append(f"the {'new' if self.cxx11_abi else 'old'} cxx11 ABI")
        words = [self.version] if self.version else []
        if extras:
            words.append("with " + " and ".join(extras))
        return " ".join(words)

    def explain(self, libtorch: LibTorch) -> Optional[str]:
        """Why a libtorch does not meet this; ``None`` if it does."""
        if self.version and not _meets(libtorch.full_version, self.version):
            return f"{libtorch.version} is not {self.version}"
        if self.cxx11_abi is not None and libtorch.cxx11_abi is not None and libtorch.cxx11_abi != self.cxx11_abi:
            have, want = ("new", "old") if libtorch.cxx11_abi else ("old", "new")
            return f"it has the {have} cxx11 ABI, wanted is the {want} one"
        if self.cuda is None:
            return None
        has = libtorch.backend == "cuda"
        if self.cuda is False:
            return "it is a CUDA build, wanted is one without" if has else None
        if not has:
            wanted = "CUDA" if self.cuda is True else f"CUDA {self.cuda}"
            return f"it is a {libtorch.backend} build, wanted is {wanted}"
        if self.cuda is True:
            return None
        if libtorch.cuda_version is None:
            return f"its CUDA version is not known, wanted is CUDA {self.cuda}"
        if not f"{libtorch.cuda_version}.".startswith(f"{self.cuda}."):
            return f"it is for CUDA {libtorch.cuda_version}, wanted is CUDA {self.cuda}"
        return None


def parse_cuda(value: object) -> Cuda:
    """A setting for CUDA, normalized: ``"cpu"`` → false, ``"cu124"`` and ``"12.4"`` → ``"12.4"``, ``12`` → ``"12"``.

    :raises ValueError: it means nothing.
    """
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in NO_CUDA:
        return False
    if text in ANY_CUDA:
        return True
    match = re.fullmatch(r"cu(\d{2})(\d)", text)
    if match:
        return f"{match[1]}.{match[2]}"
    if not re.fullmatch(r"\d{1,2}(\.\d{1,2})?", text):
        raise ValueError(text)
    return text


_BARE = re.compile(r"v?(\d+(?:\.\d+)*)(\+[a-z0-9.]+)?", re.ASCII)


def _is_specifier(text: str) -> bool:
    if _BARE.fullmatch(text.strip()):
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return len(list(SpecifierSet(text))) > 0
    except InvalidSpecifier:
        return False


def _meets(version: str, wanted: str) -> bool:
    """Does a version meet a checked specifier set or bare version? Pre-releases count."""
    bare = _BARE.fullmatch(wanted)
    public, _, local = version.partition("+")
    if bare:
        have, want = public.split("."), bare[1].split(".")
        return have[: len(want)] == want and (bare[2] is None or bare[2] == f"+{local}")
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        parsed = Version(version)
    except InvalidVersion:
        parsed = Version(public)
    return SpecifierSet(wanted).contains(parsed, prereleases=True)
