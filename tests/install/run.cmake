# Installs the build tree, then configures, builds and runs a consumer that knows only find_package(troupe).
# cmake -DBUILD=... -DWORK=... [-DLAUNCHER=ccache] -P run.cmake
file(REMOVE_RECURSE ${WORK})
function(step)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGV}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()
step(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
step(${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
  -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS)
step(${CMAKE_COMMAND} --build ${WORK}/build)
step(${WORK}/build/consumer ${WORK}/data)
if(NOT out MATCHES "on disk as revision 2" OR NOT out MATCHES "1 {\"role\":\"user\",\"content\":\"Hello!\"}")
  message(FATAL_ERROR "the consumer printed:\n${out}")
endif()
