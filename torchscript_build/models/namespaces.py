"""The namespaces of libtorch's own operators and custom classes, as data.

``python tests/models/torch_namespaces.py`` prints those of the torch that runs it; this is the union over releases, and
a test compares it with the installed one. A forecast from it may warn; the program's own load of its model decides.
"""

from __future__ import annotations

NAMESPACES = frozenset(
    (
        *("_c10d_functional", "_c10d_functional_autograd", "_dtensor", "_native", "_nnapi", "_quantized", "_test"),
        *("aoti", "aten", "backendutils", "c10d", "c10d_functional", "cuda", "debug_mode_ops", "debugprims"),
        *("dist_rpc", "export", "inductor", "inductor_prims", "metal", "metal_prepacked", "mkl", "mkldnn"),
        *("mkldnn_prepacked", "onednn", "onnx", "prepacked", "prim", "prims", "profiler", "profiling"),
        *("quantization", "quantized", "rngprims", "rnn", "sparse", "static_runtime", "symm_mem", "tensorexpr"),
        *("vulkan", "vulkan_prepacked", "xnnpack"),
    )
)
"""``quantized`` of ``ops.quantized.linear``, ``rnn`` of ``__torch__.torch.classes.rnn.CellParamsBase``."""
