# Finds the header-only C++ msgpack. `find_package(msgpack)` may answer with the C library of the same name.
# Defines the target MsgpackCxx::MsgpackCxx.
find_path(MsgpackCxx_INCLUDE_DIR msgpack.hpp)
if(MsgpackCxx_INCLUDE_DIR AND EXISTS ${MsgpackCxx_INCLUDE_DIR}/msgpack/version_master.h)
  file(STRINGS ${MsgpackCxx_INCLUDE_DIR}/msgpack/version_master.h lines REGEX "define MSGPACK_VERSION_")
  string(REGEX REPLACE ".*MAJOR +([0-9]+).*MINOR +([0-9]+).*REVISION +([0-9]+).*" "\\1.\\2.\\3"
    MsgpackCxx_VERSION "${lines}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MsgpackCxx
  REQUIRED_VARS MsgpackCxx_INCLUDE_DIR VERSION_VAR MsgpackCxx_VERSION)
if(MsgpackCxx_FOUND AND NOT TARGET MsgpackCxx::MsgpackCxx)
  add_library(MsgpackCxx::MsgpackCxx INTERFACE IMPORTED)
  target_include_directories(MsgpackCxx::MsgpackCxx SYSTEM INTERFACE ${MsgpackCxx_INCLUDE_DIR})
  target_compile_definitions(MsgpackCxx::MsgpackCxx INTERFACE MSGPACK_NO_BOOST)
endif()
mark_as_advanced(MsgpackCxx_INCLUDE_DIR)
