# The version of the libtorch that TorchConfig.cmake will take. Where there is none, that file says why.
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildResolve.cmake")
_ts_resolve_torch(_ts_resolved_dir _ts_resolved_error)
if(_ts_resolved_error)
  set(PACKAGE_VERSION "${PACKAGE_FIND_VERSION}")
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
else()
  include("${_ts_resolved_dir}/TorchConfigVersion.cmake")
endif()
