"""Runs models in Python: what a factory made, and what was saved, on the same inputs with the same seed."""

import copy
import dataclasses
import json
import re
import time
from typing import Any, Optional

from . import aoti, export, inputs, process, values

CALLS = 20
"""How many calls are timed."""


def make_arguments(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """Make all sets of inputs, and save each as a tuple of positional arguments.

    :returns: one entry a set: its file, its method (``None``: the app's own), what it is called.
    """
    process.apply(torch, job)
    export.load_libraries(torch, job, progress)
    process.seed(torch, job["seed"])
    made: list[dict[str, Any]] = []

    def add(args: Any, method: Optional[str], label: str) -> None:
        file, passed, own = (f"{job['stem']}.{len(made)}.{kind}.pt" for kind in ("arguments", "passed", "own"))
        torch.save(values.plain(torch, args), file)
        torch.save(values.stand_in(torch, args), passed)
        try:  # named tuples and the like, as the original wants them
            torch.save(args, own)
        except Exception:  # noqa: BLE001 - pickle raises whatever a class raises
            own = passed
        made.append({"arguments": file, "passed": passed, "own": own, "method": method, "label": label})

    if job["example_inputs"]:
        with progress("making the example inputs", "its example inputs cannot be made"):
            add(inputs.example_arguments(torch, job["example_inputs"], job["root"]), None, "example")
    for method, wanted in job["check_inputs"]:
        name = f"check inputs of {method}" if method else "check inputs"
        with progress(f"making its {name}", f"its {name} cannot be made"):
            number = 0
            for number, args in enumerate(inputs.input_sets(torch, wanted, job["root"]), 1):
                add(args, method or None, f"check {number}")
            if number == 0:
                raise ValueError("there is not one set")
    return {"sets": made}


def run_exported(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """The model as it was saved, as the app will load it.

    :returns: one entry a call: ``error``, or ``grad`` where the outputs were saved.
    """
    process.apply(torch, job)
    export.load_libraries(torch, job, progress)
    calls = []
    for call in _calls(job):
        with progress(f"running {call['method']} of {job['model']}", f"Python cannot run {job['model']}"):
            entry = _run_exported(torch, job, call, call["expected"])
            if _is_class_unknown(entry.get("error", "")) and job["factory"]:
                compile_classes(torch, job, progress)
                entry = _run_exported(torch, job, call, call["expected"])
            calls.append({**call, **entry})
    return {"calls": calls}


def _is_class_unknown(error: str) -> bool:
    """Python shows an enum or an object of a scripted class only where the class has been compiled."""
    return "Unknown reference to ScriptClass" in error or "classType INTERNAL ASSERT FAILED" in error


def compile_classes(torch: Any, job: "dict[str, Any]", progress: Any) -> None:
    """Let the factory's code be compiled in this process, too, for the sake of its classes."""
    original, _ = export.make_original(torch, job, progress)
    if job["method"] == "script" and not isinstance(original, torch.jit.ScriptModule):
        with progress("compiling the classes of its outputs", "the classes of its outputs cannot be compiled"):
            torch.jit.script(original)
    process.apply(torch, job)


def repeat_exported(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """Does the saved model in a second process give the same outputs? One entry a call: how they differ."""
    process.apply(torch, job)
    export.load_libraries(torch, job, progress)
    calls = []
    for call in _calls(job):
        with progress(f"running {call['method']} again", f"Python cannot run {job['model']} again"):
            entry = _run_exported(torch, job, call, call["again"])
            if "error" not in entry:
                entry["difference"] = _difference(torch, call["again"], call["expected"], job)
            calls.append({**call, **entry})
    return {"calls": calls}


def _calls(job: "dict[str, Any]") -> "list[dict[str, Any]]":
    """Each set of inputs with each method that it is for."""
    with open(job["sets"], encoding="utf-8") as file:
        sets = json.load(file)["sets"]
    calls = []
    for number, one in enumerate(sets):
        for method in [one["method"]] if one["method"] else job["methods"]:
            files = {name: f"{job['stem']}.{method}.{number}.{name}.pt" for name in ("expected", "again", "eager")}
            given = {key: one[key] for key in ("label", "arguments", "passed", "own")}
            calls.append({"method": method, **given, **files})
    return calls


def run_eager(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """What the factory makes, before it is exported, compared with what was exported.

    :returns: one entry a call: ``error``, or the ``difference``, and whether a repetition ``repeats`` the outputs; or
        why there is no original.
    """
    export.load_libraries(torch, job, progress)
    original, _ = export.make_original(torch, job, progress)
    process.apply(torch, job)
    if isinstance(original, torch.jit.ScriptModule) or export.is_script_function(torch, original):
        return {"none": "the factory gives a scripted module"}
    with progress("loading the model", f"Python cannot load {job['model']}"):
        is_package = job["model"].endswith(".pt2")
        exported = None if is_package else torch.jit.load(job["model"], map_location="cpu")
        other = None if is_package else _first_other_weight(torch, original, exported)
    if other is not None:
        return {"none": f"the factory gives other weights each time, {other} for one"}
    calls = []
    with open(job["references"], encoding="utf-8") as file:
        references = json.load(file)["calls"]
    for number, call in enumerate(references):
        words = f"running {call['method']} of what {job['factory']} gives"
        with progress(words, "the original's outputs cannot be compared"):
            call = {**call, "passed": call["own"]}
            grad = bool(call["grad"])
            # each call begins with the model as it was made; what a big one would double is spared where it can be
            fresh = original if number == len(references) - 1 else _copy(torch, original, job, progress)
            entry, _ = _call(torch, fresh, call, job, grad, call["eager"])
            if "error" not in entry and "error" not in call:
                entry["difference"] = _difference(torch, call["eager"], call["expected"], job)
                if entry["difference"]["place"]:
                    fresh, _ = export.make_original(torch, job, progress)
                    process.apply(torch, job)
                    again = _outputs(torch, fresh, call, job, grad)
                    entry["repeats"] = not values.compare(torch, again, load(torch, call["eager"]), 0.0, 0.0).place
            if job["timed"] and "error" not in entry:
                entry["milliseconds"] = _milliseconds(torch, original, call, grad)
            calls.append(entry)
    return {"calls": calls}


def _milliseconds(torch: Any, original: Any, call: "dict[str, Any]", grad: bool) -> float:
    """The middle of some calls of the original."""
    import statistics

    args = load(torch, call["arguments"])
    function = original if call["method"] == "forward" else getattr(original, call["method"])
    times = []
    with torch.enable_grad() if grad else torch.no_grad():
        for _ in range(CALLS):
            started = time.perf_counter()
            function(*args)
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _copy(torch: Any, original: Any, job: "dict[str, Any]", progress: Any) -> Any:
    """The original once more, without what calls leave in it."""
    if not isinstance(original, torch.nn.Module):
        return original
    try:
        return copy.deepcopy(original)
    except Exception:  # noqa: BLE001 - what a module holds raises what it likes
        made, _ = export.make_original(torch, job, progress)
        process.apply(torch, job)
        return made


def _difference(torch: Any, left: str, right: str, job: "dict[str, Any]") -> "dict[str, Any]":
    found = values.compare(torch, load(torch, left), load(torch, right), job["rtol"], job["atol"])
    return dataclasses.asdict(found)


def _run_exported(torch: Any, job: "dict[str, Any]", call: "dict[str, Any]", file: str) -> "dict[str, Any]":
    """Each call begins with the model as it was saved; one that needs gradients is found out by trying."""
    first: Optional[dict[str, Any]] = None
    for grad in (False, True) if job["grad"] is None else (job["grad"],):
        module = _load_model(torch, job["model"])
        entry, error = _call(torch, module, call, job, grad, file)
        if error is None:
            return entry
        first = first or entry
    return first or {}


def _call(
    torch: Any, module: Any, call: "dict[str, Any]", job: "dict[str, Any]", grad: bool, file: str
) -> "tuple[dict[str, Any], Optional[Exception]]":
    """Run one call and keep its outputs in a file."""
    try:
        outputs = _outputs(torch, module, call, job, grad)
    except values.NotCarried as error:
        return {"error": f"its outputs hold what no file carries: {error}", "grad": grad, "carried": False}, error
    except Exception as error:  # noqa: BLE001 - whatever a model raises is told with its inputs
        lines = str(error).strip().splitlines() or [""]
        return {"error": f"{type(error).__name__}: {_cause(lines)}", "grad": grad}, error
    torch.save(outputs, file)
    return {"grad": grad}, None


def _cause(lines: "list[str]") -> str:
    """What was raised, in a line: where TorchScript's interpreter reports, it follows the code, which is quoted."""
    said = [line.rstrip() for line in lines if line.strip()] or [""]
    if not said[0].startswith("The following operation failed in the TorchScript interpreter"):
        return said[0].strip()
    marks = [number for number, line in enumerate(said) if line.endswith("<--- HERE")]
    if not marks:
        return said[-1].strip()
    after = [line for line in said[marks[-1] + 1 :] if not line.startswith((" ", "\t"))]  # lines of code are indented
    raised = re.sub(r"^[\w.]+(Error|Exception): ", "", after[0]) if after else ""
    if raised.startswith("Could not run"):
        raised = raised.partition(". ")[0]  # what follows are guesses, and a list of all backends
    code = said[marks[-1] - 1].strip()
    return f"{raised} (in {code})" if raised else said[-1].strip()


def _outputs(torch: Any, module: Any, call: "dict[str, Any]", job: "dict[str, Any]", grad: bool) -> Any:
    args = values.revive(torch, load(torch, call["passed"]))
    method = call["method"]
    function = getattr(module, method, None)
    if function is None and method == "forward" and not isinstance(module, torch.nn.Module):
        function = module  # a function has no methods
    if function is None:
        names = getattr(getattr(module, "_c", None), "_method_names", None)
        known = "" if names is None else f"; it has {', '.join(names())}"
        raise AttributeError(f"the model has no method {method!r}{known}")
    if method == "forward":
        function = module
    process.seed(torch, job["seed"])
    without = getattr(torch, "inference_mode", torch.no_grad)
    with torch.enable_grad() if grad else without():
        return values.plain(torch, function(*args))


def _load_model(torch: Any, file: str) -> Any:
    if file.endswith(".pt2"):
        return aoti.load_package(torch, file)
    return torch.jit.load(file, map_location="cpu").eval()


def load(torch: Any, file: str) -> Any:
    """What we saved ourselves; releases before 1.13 know no ``weights_only``."""
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except TypeError:
        return torch.load(file, map_location="cpu")


def _first_other_weight(torch: Any, original: Any, exported: Any) -> Optional[str]:
    """A parameter or buffer that both have and that differs."""
    if not isinstance(original, torch.nn.Module):
        return None
    saved = dict(exported.named_parameters())
    for name, value in original.named_parameters():
        if name in saved and (value.shape != saved[name].shape or not torch.equal(value.cpu(), saved[name])):
            return str(name)
    return None
