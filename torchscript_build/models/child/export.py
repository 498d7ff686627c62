"""Makes a model file from what the factory gives."""

import contextlib
import itertools
import os
import sys
import types
from typing import Any, Optional

from . import aoti, inputs, places, process, sizes


def export(torch: Any, job: "dict[str, Any]", progress: Any) -> "dict[str, Any]":
    """Call the factory, script or trace what it gave, save it."""
    before, factory = process.read_state(torch), job["factory"]
    load_libraries(torch, job, progress)
    original, device = make_original(torch, job, progress)
    changed = process.changes(before, process.read_state(torch))
    process.apply(torch, job)
    kind = job["method"]
    if kind == "aoti":
        compile_ahead(torch, job, original, progress)
        return {"kind": kind, "process": changed, "moved_from": device}
    if isinstance(original, torch.jit.ScriptModule) or is_script_function(torch, original):
        kind, exported = "as it is", original
    elif kind == "trace":
        with progress("making the example inputs", "its example inputs cannot be made"):
            args = inputs.example_arguments(torch, job["example_inputs"], job["root"])
        with progress("tracing", f"torch.jit.trace cannot trace what {factory} gave"):
            try:
                kind, exported = trace(torch, original, args, job["grad"], check=not job["compared"])
            except Exception:
                with progress("running it", f"what {factory} gave does not run with its example-inputs"):
                    original(*args)
                raise  # it runs, so it is the tracer that cannot follow
    else:
        with progress("scripting", f"torch.jit.script cannot compile what {factory} gave"), torch.no_grad():
            exported = torch.jit.script(original)
    with progress("saving", f"what {factory} gave cannot be saved"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(job["output"])  # which may have other names, in folders that packages are made of
        torch.jit.save(exported, job["output"])
        places.forget(job["output"], [job["root"], *sys.path])
    if job["show_code"]:
        with progress("showing the code", "its code cannot be shown"):
            print(code_of(exported), flush=True)
    return {"kind": kind, "process": changed, "moved_from": device}


def compile_ahead(torch: Any, job: "dict[str, Any]", original: Any, progress: Any) -> None:
    """Export and compile what the factory gave into a ``.pt2`` package."""
    factory, wanted = job["factory"], job["dynamic_shapes"]
    aoti.prepare(os.path.dirname(job["output"]))
    with progress("making the example inputs", "its example inputs cannot be made"):
        args = inputs.example_arguments(torch, job["example_inputs"], job["root"])
    with progress("exporting", f"torch.export cannot export what {factory} gave"):
        if wanted == "auto":
            found, why = sizes.dynamic_sizes(torch, original, args)
            wanted = wanted if why == sizes.NESTED else sizes.setting_of(found)
        shapes = aoti.dynamic_shapes_of(torch, original, args, wanted)
        try:
            program = aoti.program_of(torch, original, args, shapes)
        except Exception as error:
            if "Constraints violated" in str(error):
                raise aoti.NotCompiled(f"dynamic-shapes: {sizes.conditions(str(error))}") from None
            operator = aoti.missing_fake_kernel(torch, error)
            if operator is None:
                raise
            words = f"the operator {operator} has no fake kernel, which says what it returns without computing it"
            print(f"write this into the package, and import it in the factory:\n{aoti.fake_kernel_of(torch, operator)}")
            raise aoti.NotCompiled(words) from None
    with progress("compiling ahead of time", f"AOTInductor cannot compile what {factory} gave"):
        symbols = wanted if isinstance(wanted, dict) else {}
        about = {"names": aoti.names_of(original, len(args)), "symbols": symbols}
        aoti.compile_package(torch, program, job["output"], about, job["cpu"])


def load_libraries(torch: Any, job: "dict[str, Any]", progress: Any) -> None:
    """Load the operator libraries from elsewhere that the app loads, too."""
    for file in job["libraries"]:
        with progress(f"loading {file}", f"operator library {file} cannot be loaded into Python's torch"):
            torch.ops.load_library(file)


def meant(torch: Any, made: Any) -> str:
    """What is missing in a factory that gave this, where that is well known."""
    if made is None:
        return "; does it end with return?"
    if isinstance(made, type) and issubclass(made, torch.nn.Module):
        return f"; return {made.__name__}(), a module of that class"
    if isinstance(made, dict) and made and all(isinstance(value, torch.Tensor) for value in made.values()):
        return "; these are weights: make the module, and load them into it (load_state_dict)"
    return ""


def make_original(torch: Any, job: "dict[str, Any]", progress: Any) -> "tuple[Any, Optional[str]]":
    """What the factory gives: a module in evaluation mode, or a function; and the device that a module was moved from.

    Models are exported on the CPU, wherever they were made: a file that was saved on a GPU wants one where it is
    loaded, and the program puts model and inputs on the device that it is told.
    """
    process.seed(torch, job["seed"])
    name = job["factory"]
    with progress(f"importing factory {name}", f"factory {name} cannot be imported"):
        factory = inputs.locate(name)
    with progress(f"calling factory {name}", f"factory {name} failed"):
        made = factory()
    with progress(f"calling factory {name}", f"factory {name} gave something else"):
        functions = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)
        if isinstance(made, functions) or is_script_function(torch, made):
            return made, None
        if not isinstance(made, torch.nn.Module):
            raise TypeError(
                f"it returned {type(made).__name__}, not a torch.nn.Module or a function{meant(torch, made)}"
            )
    with progress(f"calling factory {name}", f"what factory {name} gave cannot be exported"):
        device = device_of(made)
        return (made if device is None else made.cpu()).eval(), device


def device_of(module: Any) -> Optional[str]:
    """Where the first of its tensors lies that is not in the CPU's memory.

    :raises ValueError: one has no data at all.
    """
    first = None
    for name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        if tensor.device.type == "meta":
            raise ValueError(f"{name} has no data: it is on the device meta")
        if tensor.device.type != "cpu" and first is None:
            first = str(tensor.device)
    return first


def is_script_function(torch: Any, made: Any) -> bool:
    """Has a function been scripted or traced already?"""
    kind = getattr(torch.jit, "ScriptFunction", None)
    return kind is not None and isinstance(made, kind)


def trace(
    torch: Any, original: Any, args: "tuple[Any, ...]", grad: Optional[bool], *, check: bool
) -> "tuple[str, Any]":
    """A traced module or function; where it gives a dict, the tracer wants to be told that it is meant.

    :param grad: with gradients or without; ``None``: with them where it does not work without.
    :param check: let torch trace and run it again to compare, which takes several times as long as the rest.
    """
    kind, strict, grad_now = "trace", True, bool(grad)
    while True:
        try:
            with torch.set_grad_enabled(grad_now):
                return kind, torch.jit.trace(original, args, strict=strict, check_trace=check)
        except RuntimeError as error:
            if strict and "strict=False" in str(error):
                kind, strict = "trace with strict=False", False
            elif grad is None and not grad_now and "does not require grad" in str(error):
                grad_now = True
            elif check and grad_now and "does not require grad" in str(error):
                check = False  # torch's check runs without gradients
            else:
                raise


def code_of(exported: Any) -> str:
    """The code of every method, ``forward`` first; a class need not have one."""
    module = getattr(exported, "_c", None)
    names = getattr(module, "_method_names", None)
    if names is None:  # a function, or an old torch
        return str(exported.code)
    ordered = sorted(names(), key=lambda name: name != "forward")
    return "\n".join(str(getattr(exported, name).code) for name in ordered)
