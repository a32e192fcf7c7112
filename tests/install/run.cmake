# Installs the build tree, then configures, builds and runs apps/examples, which know only find_package(troupe).
# cmake -DBUILD=... -DWORK=... -DEXAMPLES=... [-DLAUNCHER=ccache] -P run.cmake
file(REMOVE_RECURSE ${WORK})
function(step)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGV}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()
step(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
step(${CMAKE_COMMAND} -G Ninja -S ${EXAMPLES} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
  -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_CXX_FLAGS=-D_GLIBCXX_ASSERTIONS)
step(${CMAKE_COMMAND} --build ${WORK}/build)

# run(example "the output it must have" ...): each in a fresh directory.
function(run example)
  step(${WORK}/build/example_${example} ${WORK}/${example})
  foreach(wanted IN LISTS ARGN)
    string(FIND "\n${out}" "\n${wanted}\n" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${example} does not say\n${wanted}\nbut\n${out}")
    endif()
  endforeach()
  set(out "${out}" PARENT_SCOPE)
endfunction()
run(hello_session "on disk as revision 2\nuser: Hello!")
run(tool_agent
  "user: What time is it?\ntool: 12:00\nassistant: It is noon."
  "user: Will it rain?\ntool: unclear\ntool: unclear"
  "assistant: I give up: forecast tells me nothing new."
  "refused: the budget is used up")
run(tool_agent "refused: the budget is used up\n7 items")
if(out MATCHES "user:")
  message(FATAL_ERROR "tool_agent forgot what it had used:\n${out}")
endif()
run(agent_team "plan: a parser and a printer\nfunctions: 2")
run(host_actors "ann has booked 1\nann has booked 2\nrefused: bad_id")
run(resumed_workflow "workflow done\nledger fetch\nledger parse\nledger index\nledger report\nledger send")
step(bash ${CMAKE_CURRENT_LIST_DIR}/kill_workflow.sh ${WORK}/build/example_resumed_workflow ${WORK}/killed)

# The same host by pkg-config and a compiler, without CMake.
find_program(pkg_config pkg-config)
if(pkg_config)
  file(GLOB_RECURSE pc ${WORK}/prefix/*/troupe.pc)
  cmake_path(GET pc PARENT_PATH pcdir)
  set(ENV{PKG_CONFIG_PATH} ${pcdir})
  step(sh -c "c++ -D_GLIBCXX_ASSERTIONS '${EXAMPLES}/hello_session.cpp' -o '${WORK}/build/example_by_pkg_config' $('${pkg_config}' --cflags --libs troupe)")
  run(by_pkg_config "on disk as revision 2\nuser: Hello!")
endif()
