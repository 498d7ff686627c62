# What the functions ts_… want to know of Torch, also where the package is torch's own; and models.

if(NOT DEFINED TORCH_LIBRARY_DIR)
  if(Torch_VERSION)
    set(TORCH_VERSION "${Torch_VERSION}")
  endif()
  get_filename_component(TORCH_HEADER_ROOT "${TORCH_INSTALL_PREFIX}" ABSOLUTE)
  set(TORCH_INSTALL_PREFIX "${TORCH_HEADER_ROOT}")
  set(TORCH_LIBRARY_DIR "${TORCH_INSTALL_PREFIX}/lib")
  # The standard of torch's own package stays with its targets; it does not reach what links them.
  if(TORCH_VERSION VERSION_GREATER_EQUAL 2.12)
    set(TORCH_CXX_STANDARD 20)
  elseif(TORCH_VERSION VERSION_GREATER_EQUAL 2.0)
    set(TORCH_CXX_STANDARD 17)
  else()
    set(TORCH_CXX_STANDARD 14)
  endif()
  set_property(
    TARGET torch
    APPEND
    PROPERTY INTERFACE_COMPILE_FEATURES "cxx_std_${TORCH_CXX_STANDARD}")
endif()

# ts_add_model(FILE file DESTINATION dir): a model, in the build tree and in the installation at the same place beside the
# programs.
function(ts_add_model)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "FILE;DESTINATION" "")
  get_filename_component(name "${arg_FILE}" NAME)
  configure_file("${arg_FILE}" "${CMAKE_BINARY_DIR}/out/${arg_DESTINATION}/${name}" COPYONLY)
  install(
    FILES "${arg_FILE}"
    DESTINATION "${arg_DESTINATION}"
    COMPONENT apps)
endfunction()
