"""The functions of torch's stable C ABI, by the release that they came with; written by tests/stable_symbols.py."""

from __future__ import annotations

NEWEST = "2.15"
"""The newest release whose headers were read."""

SYMBOLS = {
    "2.9": """
        aoti_torch__alloc_from_pool aoti_torch__mm_plus_mm_out aoti_torch__reinterpret_tensor
        aoti_torch_abi_version aoti_torch_as_strided aoti_torch_assign_tensors aoti_torch_assign_tensors_out
        aoti_torch_aten_amax aoti_torch_aten_fill__Scalar aoti_torch_aten_narrow aoti_torch_aten_new_empty
        aoti_torch_aten_new_zeros aoti_torch_aten_pad aoti_torch_call_dispatcher aoti_torch_check
        aoti_torch_check_inf_and_nan aoti_torch_clone aoti_torch_clone_preserve_strides aoti_torch_copy_
        aoti_torch_cpu__wrapped_linear_prepack aoti_torch_cpu__wrapped_quantized_linear_prepacked
        aoti_torch_cpu_wrapped_fbgemm_linear_fp16_weight aoti_torch_cpu_wrapped_fbgemm_pack_gemm_matrix_fp16
        aoti_torch_create_cuda_guard aoti_torch_create_cuda_stream_guard aoti_torch_create_device_guard
        aoti_torch_create_tensor_from_blob aoti_torch_create_tensor_from_blob_v2 aoti_torch_cuda_guard_set_index
        aoti_torch_delete_cuda_guard aoti_torch_delete_cuda_stream_guard aoti_torch_delete_device_guard
        aoti_torch_delete_library_object aoti_torch_delete_stream aoti_torch_delete_tensor_object
        aoti_torch_device_guard_set_index aoti_torch_device_type_cpu aoti_torch_device_type_cuda
        aoti_torch_device_type_meta aoti_torch_device_type_mps aoti_torch_device_type_privateuse1
        aoti_torch_device_type_xpu aoti_torch_dtype_bfloat16 aoti_torch_dtype_bool aoti_torch_dtype_complex128
        aoti_torch_dtype_complex32 aoti_torch_dtype_complex64 aoti_torch_dtype_element_size
        aoti_torch_dtype_float16 aoti_torch_dtype_float32 aoti_torch_dtype_float64
        aoti_torch_dtype_float8_e4m3fn aoti_torch_dtype_float8_e4m3fnuz aoti_torch_dtype_float8_e5m2
        aoti_torch_dtype_float8_e5m2fnuz aoti_torch_dtype_int16 aoti_torch_dtype_int32 aoti_torch_dtype_int64
        aoti_torch_dtype_int8 aoti_torch_dtype_uint16 aoti_torch_dtype_uint32 aoti_torch_dtype_uint64
        aoti_torch_dtype_uint8 aoti_torch_empty_strided aoti_torch_empty_strided_pinned
        aoti_torch_get_current_cuda_stream aoti_torch_get_current_device_index aoti_torch_get_current_stream
        aoti_torch_get_data_ptr aoti_torch_get_device_index aoti_torch_get_device_type aoti_torch_get_dim
        aoti_torch_get_dtype aoti_torch_get_layout aoti_torch_get_numel aoti_torch_get_size aoti_torch_get_sizes
        aoti_torch_get_storage_numel aoti_torch_get_storage_offset aoti_torch_get_storage_size
        aoti_torch_get_stride aoti_torch_get_strides aoti_torch_grad_mode_is_enabled
        aoti_torch_grad_mode_set_enabled aoti_torch_index_put_out aoti_torch_is_contiguous aoti_torch_is_defined
        aoti_torch_item_bfloat16 aoti_torch_item_bool aoti_torch_item_complex64 aoti_torch_item_float16
        aoti_torch_item_float32 aoti_torch_item_float64 aoti_torch_item_int16 aoti_torch_item_int32
        aoti_torch_item_int64 aoti_torch_item_int8 aoti_torch_item_uint16 aoti_torch_item_uint32
        aoti_torch_item_uint64 aoti_torch_item_uint8 aoti_torch_layout__mkldnn aoti_torch_layout_jagged
        aoti_torch_layout_sparse_bsc aoti_torch_layout_sparse_bsr aoti_torch_layout_sparse_coo
        aoti_torch_layout_sparse_csc aoti_torch_layout_sparse_csr aoti_torch_layout_strided
        aoti_torch_library_def aoti_torch_library_impl aoti_torch_library_init_def
        aoti_torch_library_init_fragment aoti_torch_library_init_impl aoti_torch_memory_format_channels_last
        aoti_torch_memory_format_channels_last_3d aoti_torch_memory_format_contiguous_format
        aoti_torch_memory_format_preserve_format aoti_torch_new_tensor_handle
        aoti_torch_new_uninitialized_tensor aoti_torch_print_tensor_handle
        aoti_torch_proxy_executor_call_function aoti_torch_save_tensor_handle aoti_torch_scalar_to_tensor_bool
        aoti_torch_scalar_to_tensor_complex128 aoti_torch_scalar_to_tensor_complex64
        aoti_torch_scalar_to_tensor_float32 aoti_torch_scalar_to_tensor_float64
        aoti_torch_scalar_to_tensor_int16 aoti_torch_scalar_to_tensor_int32 aoti_torch_scalar_to_tensor_int64
        aoti_torch_scalar_to_tensor_int8 aoti_torch_scalar_to_tensor_uint16 aoti_torch_scalar_to_tensor_uint32
        aoti_torch_scalar_to_tensor_uint64 aoti_torch_scalar_to_tensor_uint8 aoti_torch_scatter_out
        aoti_torch_scatter_reduce_out aoti_torch_stream_id aoti_torch_tensor_copy_ aoti_torch_warn
        aoti_torch_zero_
    """,
    "2.10": """
        aoti_torch_aten_full aoti_torch_aten_subtract_Tensor aoti_torch_cuda_caching_allocator_raw_alloc
        aoti_torch_cuda_caching_allocator_raw_delete aoti_torch_delete_c10_value_object
        aoti_torch_int64_to_ivalue aoti_torch_str_to_ivalue aoti_torch_strlist_to_ivalue
        aoti_torch_tensor_to_ivalue torch_c10_cuda_check_msg torch_c10_cuda_free_error_msg torch_call_dispatcher
        torch_cuda_stream_synchronize torch_delete_list torch_delete_string torch_get_const_data_ptr
        torch_get_cuda_stream_from_pool torch_get_current_cuda_blas_handle torch_get_mutable_data_ptr
        torch_get_num_threads torch_get_thread_idx torch_library_impl torch_list_get_item torch_list_push_back
        torch_list_set_item torch_list_size torch_new_list_reserve_size torch_new_string_handle
        torch_parallel_for torch_parse_device_string torch_set_current_cuda_stream torch_set_requires_grad
        torch_string_c_str torch_string_length
    """,
    "2.11": """
        torch_dtype_float4_e2m1fn_x2 torch_dtype_float8_e8m0fnu torch_from_blob
    """,
    "2.12": """
        aoti_torch_dtype_float4_e2m1fn_x2 aoti_torch_dtype_float8_e8m0fnu torch_library_def_with_tags
        torch_tag_core torch_tag_cudagraph_unsafe torch_tag_data_dependent_output torch_tag_dynamic_output_shape
        torch_tag_flexible_layout torch_tag_generated torch_tag_inplace_view
        torch_tag_maybe_aliasing_or_mutating torch_tag_needs_contiguous_strides torch_tag_needs_exact_strides
        torch_tag_needs_fixed_stride_order torch_tag_nondeterministic_bitwise torch_tag_nondeterministic_seeded
        torch_tag_out_variant torch_tag_pointwise torch_tag_pt2_compliant_tag torch_tag_reduction
        torch_tag_view_copy
    """,
    "2.13": """
        torch_delete_generator torch_delete_stable_ivalue torch_exception_get_what
        torch_exception_get_what_without_backtrace torch_generator_get_device torch_library_set_python_module
        torch_new_generator_handle torch_new_stable_ivalue torch_stream_native_handle
    """,
    "2.14": """
        torch_has_storage torch_mps_set_arg_bytes torch_tensor_from_pyobject torch_tensor_to_pyobject
    """,
    "2.15": """
        torch_device_from_pyobject torch_device_to_pyobject torch_dtype_from_pyobject torch_dtype_to_pyobject
        torch_is_tensor_pyobject
    """,
}
