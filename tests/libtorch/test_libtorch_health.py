"""What is wrong around a libtorch that was found."""

from __future__ import annotations

from pathlib import Path

import pytest
from trees import (
    NEW,
    FakeTorch,
    MakeEnvironment,
    build_elf,
    make_archive,
    make_conda_libtorch,
    make_conda_pytorch,
    make_wheel,
    write,
)

from torchscript_build.libtorch import find_libtorch, health
from torchscript_build.libtorch.health import diagnose


@pytest.fixture(autouse=True)
def no_system_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchscript_build.system.elf.DEFAULT_FOLDERS", ())
    monkeypatch.setattr(health, "_configured_folders", lambda: iter(()))


def test_a_whole_wheel_is_healthy(own_site: Path, make_environment: MakeEnvironment) -> None:
    make_wheel(own_site, FakeTorch())
    environment = make_environment()
    assert diagnose(find_libtorch(environment=environment), environment) == ()


def test_two_torches_at_once(tmp_path: Path, own_site: Path, make_environment: MakeEnvironment) -> None:
    package = make_wheel(own_site, FakeTorch("2.6.0"))
    root = make_archive(tmp_path, FakeTorch("2.13.0"))
    environment = make_environment()
    (found,) = diagnose(find_libtorch(root, environment=environment), environment)
    assert f"another torch: 2.6.0+cpu in {package}, while 2.13.0+cpu in {root} was chosen" in found


def test_two_doors_to_one_torch_are_no_trouble(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    prefix = make_conda_libtorch(tmp_path / "conda", FakeTorch("2.8.0"))
    site = make_conda_pytorch(prefix, FakeTorch("2.8.0")).parent
    environment = make_environment(search_path=(site,), site_packages=(site,))
    assert diagnose(find_libtorch(prefix, environment=environment), environment) == ()


def test_variables_that_put_another_libtorch_in_front(
    tmp_path: Path, own_site: Path, make_environment: MakeEnvironment
) -> None:
    make_wheel(own_site, FakeTorch())
    other = make_archive(tmp_path, FakeTorch("2.6.0"))
    environment = make_environment(CPATH=f"{other}/include", LD_LIBRARY_PATH=f"/nowhere:{other}/lib")
    headers, libraries = diagnose(find_libtorch(environment=environment), environment)
    assert headers.startswith(f"CPATH names {other}/include, which belongs to another libtorch")
    assert libraries.startswith(f"LD_LIBRARY_PATH names {other}/lib, which belongs to another libtorch")


def test_libraries_that_are_needed_and_not_there(own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch("2.12.0", "cu130", cuda="13.0"))
    cuda = build_elf(
        needed=["libc10.so", "libcudart.so.13", "libnvshmem_host.so.3", "libc.so.6", "libcuda.so.1"],
        rpath="$ORIGIN/../../nvidia/cu13/lib:$ORIGIN",
    )
    write(root / "lib" / "libtorch_cuda.so", cuda)
    write(own_site / "nvidia" / "cu13" / "lib" / "libcudart.so.13", build_elf())
    environment = make_environment()
    (found,) = diagnose(find_libtorch(environment=environment), environment)
    assert found.startswith(f"missing libraries: libnvshmem_host.so.3. {root}/lib/libtorch_cuda.so needs them")
    assert "nvidia-* wheels" in found


def test_a_library_on_library_path_is_there(tmp_path: Path, own_site: Path, make_environment: MakeEnvironment) -> None:
    root = make_wheel(own_site, FakeTorch())
    write(root / "lib" / "libc10.so", build_elf(exported=[NEW], needed=["libgomp.so.1"]))
    environment = make_environment()
    libtorch = find_libtorch(environment=environment)
    assert "missing libraries: libgomp.so.1." in diagnose(libtorch, environment)[0]
    write(tmp_path / "omp" / "libgomp.so.1", build_elf())
    assert diagnose(libtorch, make_environment(LD_LIBRARY_PATH=str(tmp_path / "omp"))) == ()


def test_a_libtorch_for_another_machine(tmp_path: Path, make_environment: MakeEnvironment) -> None:
    root = make_archive(tmp_path, FakeTorch(machine="aarch64"))
    environment = make_environment()
    (found,) = diagnose(find_libtorch(root, environment=environment), environment)
    assert "made for linux aarch64, this machine is linux x86_64" in found


def test_a_broken_library_is_named_rather_than_raised(own_site: Path, make_environment: MakeEnvironment) -> None:
    make_wheel(own_site, FakeTorch())
    environment = make_environment()
    libtorch = find_libtorch(environment=environment)
    write(libtorch.libraries[0], "gone")
    (found,) = diagnose(libtorch, environment)
    assert found.startswith(f"{libtorch.libraries[0]} is not an ELF file")
