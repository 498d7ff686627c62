"""What torch keeps for the whole process and no model file carries: read, compared, set."""

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


READERS: "dict[str, Callable[[Any], Any]]" = {
    "default dtype": lambda torch: str(torch.get_default_dtype()).rpartition(".")[2],
    "quantized engine": lambda torch: str(torch.backends.quantized.engine),
    "flush-denormal": _flushes_denormal,
    "threads": lambda torch: int(torch.get_num_threads()),
    "deterministic algorithms": lambda torch: bool(torch.are_deterministic_algorithms_enabled()),
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
    """Set what the app sets, too."""
    if job["default_dtype"]:
        torch.set_default_dtype(getattr(torch, job["default_dtype"]))
    if job["quantized_engine"]:
        torch.backends.quantized.engine = job["quantized_engine"]


def seed(torch: Any, number: int) -> None:
    """Seed the random numbers of torch, of Python, and of numpy where it is in use."""
    import random
    import sys

    torch.manual_seed(number)
    random.seed(number)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(number % 2**32)
