# What find_package(Torch) checks before it defines anything, and the one line that it says. Sets _ts_torch_refusal to the
# reason why this package will not do, or to nothing.
set(_ts_torch_refusal "")

# One libtorch in a configure run: targets of two would be mixed on one link line.
get_filename_component(_ts_torch_place "${_ts_torch_prefix}" REALPATH)
get_property(_ts_torch_first GLOBAL PROPERTY _TS_TORCH_PLACE)
get_property(_ts_torch_first_description GLOBAL PROPERTY _TS_TORCH_DESCRIPTION)
if(_ts_torch_first AND NOT _ts_torch_first STREQUAL _ts_torch_place)
  set(_ts_torch_refusal
      "two libtorches in one configure run: ${_ts_torch_first_description} in ${_ts_torch_first} was found first,\
 and now ${_ts_torch_description} in ${_ts_torch_place}. Give all projects of the build the same Torch_DIR")
elseif(NOT _ts_torch_first AND TARGET c10)
  # Of the stock package, or of a project that has a target of that name.
  get_target_property(_ts_torch_imported c10 IMPORTED)
  if(_ts_torch_imported)
    get_target_property(_ts_torch_first c10 LOCATION)
  else()
    set(_ts_torch_first "the project")
  endif()
  get_filename_component(_ts_torch_first_place "${_ts_torch_first}" REALPATH)
  get_filename_component(_ts_torch_first_place "${_ts_torch_first_place}" DIRECTORY)
  get_filename_component(_ts_torch_place_here "${_ts_torch_library_dir}" REALPATH)
  if(NOT _ts_torch_first_place STREQUAL _ts_torch_place_here)
    set(_ts_torch_refusal "two libtorches in one configure run: there is a target c10 already, from ${_ts_torch_first},\
 and now ${_ts_torch_description} was found in ${_ts_torch_place}. Give all projects of the build the same Torch_DIR")
  endif()
  unset(_ts_torch_imported)
  unset(_ts_torch_first_place)
  unset(_ts_torch_place_here)
endif()

# Components are the libraries that it has; the stock package has none, and passes over what it is asked for.
set(_ts_torch_components torch torch_library)
foreach(_ts_file IN LISTS _ts_torch_library_names)
  list(APPEND _ts_torch_components "${_ts_file}")
endforeach()
foreach(_ts_name IN LISTS Torch_FIND_COMPONENTS)
  if(_ts_name IN_LIST _ts_torch_components)
    set(Torch_${_ts_name}_FOUND TRUE)
    continue()
  endif()
  set(Torch_${_ts_name}_FOUND FALSE)
  if(Torch_FIND_REQUIRED_${_ts_name} AND NOT _ts_torch_refusal)
    list(JOIN _ts_torch_components ", " _ts_torch_components)
    set(_ts_torch_refusal
        "${_ts_torch_description} in ${_ts_torch_prefix} has no component ${_ts_name}; its components, which need not be\
 named, are ${_ts_torch_components}")
  endif()
endforeach()

if(NOT _ts_torch_refusal)
  set_property(GLOBAL PROPERTY _TS_TORCH_PLACE "${_ts_torch_place}")
  set_property(GLOBAL PROPERTY _TS_TORCH_DESCRIPTION "${_ts_torch_description}")
  include(FindPackageMessage)
  find_package_message(Torch "Found Torch: ${_ts_torch_description} in ${_ts_torch_prefix}"
                       "[${_ts_torch_description}][${_ts_torch_prefix}]")
endif()
foreach(_ts_name IN ITEMS place first first_description components)
  unset(_ts_torch_${_ts_name})
endforeach()
