# The package that the stock Torch finds its parts by: projects of old ask for it by name.
include("${CMAKE_CURRENT_LIST_DIR}/TorchConfig.cmake")
if(NOT TORCH_FOUND)
  set(Caffe2_FOUND FALSE)
  set(Caffe2_NOT_FOUND_MESSAGE "${Torch_NOT_FOUND_MESSAGE}")
endif()
