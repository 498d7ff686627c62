// What the sources that know torch include of it. They are compiled as one translation unit, so
// that these headers, which are what compiling the runner costs, are read once.
#pragma once

// Fewer headers behind the ones below: without it they include every operator there is.
#if __has_include(<ATen/ops/empty.h>)
#define AT_PER_OPERATOR_HEADERS
#endif

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/QEngine.h>
#include <c10/core/ScalarTypeToTypeMeta.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/error_report.h>
#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#if __has_include(<ATen/core/enum_type.h>)  // before it a part of jit_type.h
#include <ATen/core/enum_type.h>
#endif

#ifdef AT_PER_OPERATOR_HEADERS
#include <ATen/ops/_make_per_channel_quantized_tensor.h>
#include <ATen/ops/_make_per_tensor_quantized_tensor.h>
#include <ATen/ops/_validate_sparse_compressed_tensor_args.h>
#include <ATen/ops/_validate_sparse_coo_tensor_args.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/sparse_compressed_tensor.h>
#include <ATen/ops/sparse_coo_tensor.h>
#else
#include <ATen/Functions.h>
#endif

#define TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) ||  \
   (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if TORCH_AT_LEAST(1, 9)
#include <c10/core/InferenceMode.h>
#else
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>
#endif
#if TORCH_AT_LEAST(1, 11)
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#endif
