# find_package(Torch) where torchscript-build is installed: libtorch is searched for when a build asks for it, and the
# package that is written for it, into the build tree, takes over.
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildResolve.cmake")
_ts_resolve_torch(_ts_resolved_dir _ts_resolved_error)
if(_ts_resolved_error)
  set(Torch_FOUND FALSE)
  set(Torch_NOT_FOUND_MESSAGE "${_ts_resolved_error}")
else()
  # Not the cache entry: what is passed on as -DTorch_DIR=${Torch_DIR} is the choice, and the next configure chooses anew.
  set(Torch_DIR "${_ts_resolved_dir}")
  include("${_ts_resolved_dir}/TorchConfig.cmake")
endif()
unset(_ts_resolved_dir)
unset(_ts_resolved_error)
