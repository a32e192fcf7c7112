# cmake -DSOURCE=... -DOUT=... -DPLANTS=... -P plants.cmake
# Copies a product source with faults that a run of the simulation may switch on by their names: each block of PLANTS is
#   ### name: in words
#   what stands in the source, once
#   --->
#   what stands there in the copy
# A block that does not fit its source any more ends the build.
cmake_minimum_required(VERSION 3.25)
file(READ ${SOURCE} text)
file(READ ${PLANTS} plants)
string(REPLACE ";" "@semicolon@" text "${text}")
string(REPLACE ";" "@semicolon@" plants "${plants}")
string(REPLACE "[" "@open@" text "${text}")
string(REPLACE "[" "@open@" plants "${plants}")
string(REPLACE "]" "@close@" text "${text}")
string(REPLACE "]" "@close@" plants "${plants}")
string(REPLACE "\n### " ";" blocks "\n${plants}")
list(REMOVE_AT blocks 0)
foreach(block IN LISTS blocks)
  string(REGEX MATCH "^([a-z_]+): [^\n]*\n(.*)\n--->\n(.*)$" parts "${block}")
  set(name "${CMAKE_MATCH_1}")
  set(before "${CMAKE_MATCH_2}")
  set(after "${CMAKE_MATCH_3}")
  string(REGEX REPLACE "\n+$" "" after "${after}")
  string(FIND "${text}" "${before}" first)
  string(FIND "${text}" "${before}" last REVERSE)
  if(name STREQUAL "" OR first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "the plant '${name}' does not fit ${SOURCE} any more (or fits it twice):\n${before}")
  endif()
  string(REPLACE "${before}" "${after}" text "${text}")
endforeach()
string(REPLACE "@semicolon@" ";" text "${text}")
string(REPLACE "@open@" "[" text "${text}")
string(REPLACE "@close@" "]" text "${text}")
file(WRITE ${OUT} "#include <simulation/plant.hpp>\nusing troupe::simulation::planted;\n${text}")
