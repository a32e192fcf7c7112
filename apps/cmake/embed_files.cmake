# cmake -DDIRECTORY=dir -DOUTPUT=file.cpp -DSYMBOL=name -DNAMESPACE=ns -DHEADER=x.hpp -P embed_files.cmake
# Writes a source that defines SYMBOL, declared in HEADER as `extern const std::span<const asset>`, as the files of
# DIRECTORY, each with its media type and a tag that is made of its bytes.
set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")

set(entries "")
file(GLOB files ${DIRECTORY}/*)
foreach(path IN LISTS files)
  cmake_path(GET path FILENAME name)
  cmake_path(GET path EXTENSION LAST_ONLY extension)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "no media type is known for ${path}")
  endif()
  file(READ ${path} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" escaped "${bytes}")
  # A literal of hex escapes has no ambiguous ends; short lines keep the compiler's line buffers small.
  string(REGEX REPLACE "(\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..\\\\x..)" "\"\\1\"\n" lines "${escaped}")
  string(REGEX REPLACE "\n([^\"]+)$" "\n\"\\1\"" lines "${lines}")
  file(SHA256 ${path} digest)
  string(SUBSTRING ${digest} 0 16 tag)
  string(APPEND entries
    "    {\"${name}\", \"${type_${extension}}\", \"\\\"${tag}\\\"\", std::string_view{\n${lines}, ${size}}},\n")
endforeach()
file(WRITE ${OUTPUT}
  "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n\nnamespace {\nconstexpr asset files[] = {\n${entries}};\n}  // namespace\n\n"
  "const std::span<const asset> ${SYMBOL}{files};\n\n}  // namespace ${NAMESPACE}\n")
