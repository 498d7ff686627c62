"""The licences of all that a bundle holds, as the packages on this machine bring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torchscript_build.errors import VerificationError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.packaging.bundle.origins import Origin, is_license, licenses_below


def torch_licenses(libtorch: LibTorch, origins: Iterable[Origin] = ()) -> Mapping[str, Path]:
    """Torch's own, its NOTICE among them where it has one: path below ``licenses`` → file.

    :param origins: the packages that libtorch's libraries came with.
    :raises VerificationError: there is none; a bundle without it would break its terms.
    """
    infos = [i for pattern in ("", "lib/python*/site-packages/") for i in _torch_infos(libtorch, pattern)]
    for info in infos:
        found = licenses_below(info)
        if found:
            return {f"torch/{name}": path for name, path in found.items()}
    loose = {p.name: p for p in sorted(libtorch.root.iterdir()) if p.is_file() and is_license(p.name)}
    of_packages = {name: path for origin in origins for name, path in origin.licenses.items()}
    chosen = loose or of_packages
    if chosen:
        return {f"torch/{name}": path for name, path in chosen.items()}
    raise VerificationError(
        f"the licence of torch is not in {libtorch.root} nor beside it, and a bundle must hold it",
        cures=["pip install torch: its wheel has the licence", "put torch's LICENSE and NOTICE into that folder"],
    )


def _torch_infos(libtorch: LibTorch, pattern: str) -> list[Path]:
    base = libtorch.root if pattern else libtorch.root.parent
    return sorted(base.glob(f"{pattern}torch-*.dist-info"))


def project_licenses(root: Path, project: str) -> Mapping[str, Path]:
    """The project's own, if it has any."""
    return {f"{project}/{p.name}": p for p in sorted(root.iterdir()) if p.is_file() and is_license(p.name)}


def own_licenses() -> Mapping[str, Path]:
    """Ours, since the runner is our source."""
    from importlib.metadata import files

    members = files("torchscript-build") or []
    found = (Path(str(member.locate())) for member in members if is_license(Path(str(member)).name))
    return {f"torchscript-build/{path.name}": path for path in found if path.is_file()}


def package_licenses(origins: Iterable[Origin]) -> Mapping[str, Path]:
    """Those of the packages that the other libraries came with; Debian's copyright files are called by the package."""
    found: dict[str, Path] = {}
    for origin in origins:
        for name, path in origin.licenses.items():
            found[f"debian/{origin.package}" if origin.kind == "deb" else f"{origin.package}/{name}"] = path
    return found
