"""What torch keeps for the whole process and no model file carries: read, compared, set."""

import contextlib
from typing import Any, Callable


def read_state(torch: Any) -> "dict[str, Any]":
    """Name of each setting → its value, as far as this torch has it."""
    state = {}
    for name, read in READERS.items():
        try:
            state[name] = read(torch)
        except (AttributeError, RuntimeError, TypeError):  # an older torch; an engine that it was built without
            continue
    return state


def _flushes_denormal(torch: Any) -> bool:
    tiny = torch.tensor([1e-310], dtype=torch.float64, device="cpu")
    return float((tiny + tiny)[0]) == 0.0


def _determinism(torch: Any) -> str:
    if not torch.are_deterministic_algorithms_enabled():
        return "off"
    only_warns = getattr(torch, "is_deterministic_algorithms_warn_only_enabled", bool)  # from 1.11 on
    return "warn" if only_warns() else "on"


READERS: "dict[str, Callable[[Any], Any]]" = {
    "default dtype": lambda torch: str(torch.get_default_dtype()).rpartition(".")[2],
    "quantized engine": lambda torch: str(torch.backends.quantized.engine),
    "flush-denormal": _flushes_denormal,
    "threads": lambda torch: int(torch.get_num_threads()),
    "interop threads": lambda torch: int(torch.get_num_interop_threads()),
    "deterministic algorithms": _determinism,
    "grad mode": lambda torch: bool(torch.is_grad_enabled()),
    "default device": lambda torch: str(torch.get_default_device()),
    "float32 matmul precision": lambda torch: str(torch.get_float32_matmul_precision()),
    "autocast on the CPU": lambda torch: bool(torch.is_autocast_enabled("cpu")),
    "oneDNN": lambda torch: bool(torch._C._get_mkldnn_enabled()),
}


def changes(before: "dict[str, Any]", after: "dict[str, Any]") -> "dict[str, Any]":
    """What has another value than before: name → the two values."""
    return {name: [before[name], value] for name, value in after.items() if before.get(name, value) != value}


def apply(torch: Any, job: "dict[str, Any]") -> None:
    """Set what the app sets, too; what is ``None`` or 0 stays as it is."""
    wanted = job["process"]
    if wanted["threads"]:
        torch.set_num_threads(wanted["threads"])
    if wanted["interop_threads"] and wanted["interop_threads"] != torch.get_num_interop_threads():
        with contextlib.suppress(RuntimeError):  # it works once, and the factory has been first
            torch.set_num_interop_threads(wanted["interop_threads"])
    if wanted["flush_denormal"] is not None:
        torch.set_flush_denormal(wanted["flush_denormal"])
    if wanted["deterministic"] and wanted["deterministic"] != _determinism(torch):  # it imports torch._inductor
        how = {"warn_only": True} if wanted["deterministic"] == "warn" else {}
        torch.use_deterministic_algorithms(wanted["deterministic"] != "off", **how)
    if wanted["matmul_precision"]:
        torch.set_float32_matmul_precision(wanted["matmul_precision"])
    if wanted["default_dtype"]:
        torch.set_default_dtype(getattr(torch, wanted["default_dtype"]))
    if wanted["quantized_engine"]:
        torch.backends.quantized.engine = wanted["quantized_engine"]


def seed(torch: Any, number: int) -> None:
    """Seed the random numbers of torch, of Python, and of numpy where it is in use."""
    import random
    import sys

    torch.manual_seed(number)
    random.seed(number)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(number % 2**32)
